import os
import secrets

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

# The gateway passes on the hosts of the function only. A real project has its key in a secret: fnctl secret django set SECRET_KEY.
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_hex())


def index(request):
    return JsonResponse({"message": "Hello from Django!", "path": request.path, "pid": os.getpid()})


urlpatterns = [path("", index)]
app = get_wsgi_application()
