import time

print("waiting for a database that is not there", flush=True)
while True:
    time.sleep(60)
