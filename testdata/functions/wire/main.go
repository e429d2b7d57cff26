// Command wire answers with what it was asked, and remembers each request that it has read to the end. /seen lists and
// forgets them; /zeros?n=N answers with N zeros, and is not remembered.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

func main() {
	listener, err := inherited()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, &ledger{}))
}

func inherited() (net.Listener, error) {
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid != os.Getpid() {
		return nil, errors.New("no socket from systemd: LISTEN_PID is not ours")
	}
	return net.FileListener(os.NewFile(3, "http"))
}

type ledger struct {
	mu   sync.Mutex
	seen []string
}

// ServeHTTP implements http.Handler.
func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the client went away before the end
	}
	switch r.URL.Path {
	case "/seen":
		fmt.Fprint(w, strings.Join(l.take(), "\n"))
	case "/zeros":
		sendZeros(w, r.FormValue("n"))
	default:
		request := fmt.Sprintf("%s %s %d", r.Method, r.RequestURI, n)
		l.add(request)
		fmt.Fprint(w, request)
	}
}

func (l *ledger) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

func (l *ledger) add(request string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, request)
}

func sendZeros(w http.ResponseWriter, count string) {
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		http.Error(w, "n is not a number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	zeros := make([]byte, 256<<10)
	for n > 0 && err == nil {
		var sent int
		sent, err = w.Write(zeros[:min(n, int64(len(zeros)))])
		n -= int64(sent)
	}
}
