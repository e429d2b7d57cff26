// Command grpc is a gRPC server with the services that come with every one: health, which has a call and a stream from the
// server, and reflection, which has a stream in both directions.
package main

import (
	"errors"
	"log"
	"net"
	"os"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

func main() {
	listener, err := inherited()
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	log.Fatal(server.Serve(listener))
}

func inherited() (net.Listener, error) {
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid != os.Getpid() {
		return nil, errors.New("no socket from systemd: LISTEN_PID is not ours")
	}
	return net.FileListener(os.NewFile(3, "http"))
}
