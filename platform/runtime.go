package platform

import "slices"

// Runtime is the program that runs an app: a server for a Python application, or nothing but the app's own program.
type Runtime string

const (
	// RuntimeUvicorn runs an ASGI application in uvicorn.
	RuntimeUvicorn Runtime = "uvicorn"
	// RuntimeHypercorn runs an ASGI application in hypercorn.
	RuntimeHypercorn Runtime = "hypercorn"
	// RuntimeGranian runs an ASGI application in granian, which takes no socket but only a port.
	RuntimeGranian Runtime = "granian"
	// RuntimeGunicorn runs a WSGI application in gunicorn.
	RuntimeGunicorn Runtime = "gunicorn"
	// RuntimeSocket runs a program that takes its listening socket as file descriptor 3 (LISTEN_FDS).
	RuntimeSocket Runtime = "socket"
	// RuntimePort runs a program that listens on the port that the variable PORT names.
	RuntimePort Runtime = "port"
)

var runtimes = []Runtime{RuntimeUvicorn, RuntimeHypercorn, RuntimeGranian, RuntimeGunicorn, RuntimeSocket, RuntimePort}

// IsServer reports whether the runtime is a server that loads a Python application.
func (r Runtime) IsServer() bool {
	return slices.Contains([]Runtime{RuntimeUvicorn, RuntimeHypercorn, RuntimeGranian, RuntimeGunicorn}, r)
}

// IsWSGI reports whether the server runs applications of WSGI, not of ASGI.
func (r Runtime) IsWSGI() bool { return r == RuntimeGunicorn }

// TakesPort reports whether an instance listens on a port of its own, so that something must pass its connections on.
func (r Runtime) TakesPort() bool { return r == RuntimePort || r == RuntimeGranian }

// UnmarshalText reads the name of a runtime, also as earlier versions wrote it into revisions.
func (r *Runtime) UnmarshalText(text []byte) error {
	switch *r = Runtime(text); *r {
	case "asgi":
		*r = RuntimeUvicorn
	case "exec":
		*r = RuntimeSocket
	}
	return nil
}
