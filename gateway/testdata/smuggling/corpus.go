// Package smuggling is a corpus of requests about whose end, length or host a proxy and an app may disagree, with what must
// come of each.
//
// Every file is a txtar archive of cases on one subject. A case begins with what may come of it, followed by its bytes: Go
// escapes are expanded, and line ends are written as such. {host} is the host of the function, "repeat N text" is N times the
// text, and "end" at the end says that the client sends nothing more. Any other case is followed at once by another request,
// the marker, on the same connection. What may come of a case:
//
//	200 POST /x 5          the app answered, having seen this request with a body of 5 bytes; then it answers the marker
//	200 POST /x 5 closed   the same, but the connection is closed and the marker was not seen
//	400                    refused: the connection is closed, and the app has seen neither a whole request nor the marker
//	404 open               the gateway answered for the app; then the app answers the marker
//	closed                 the same without an answer
//
// Where the format leaves a choice, there are several, with "or" between them; "then" is between the answers to several requests.
package smuggling

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:embed *.txtar
var files embed.FS

const marker = "GET /marker 0"

// Case is a request, and what may come of it.
type Case struct {
	Name  string
	wants []string
	raw   string
	ends  bool
}

// Cases are all of the corpus.
func Cases() ([]Case, error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, name := range names {
		text, err := files.ReadFile(name.Name())
		if err != nil {
			return nil, err
		}
		for _, file := range txtar.Parse(text).Files {
			c, err := parse(strings.TrimSuffix(name.Name(), ".txtar")+"/"+file.Name, string(file.Data))
			if err != nil {
				return nil, fmt.Errorf("read case %s: %w", file.Name, err)
			}
			cases = append(cases, c)
		}
	}
	return cases, nil
}

func parse(name, text string) (Case, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	c := Case{Name: name, wants: strings.Split(lines[0], " or ")}
	for _, line := range lines[1:] {
		if line == "end" {
			c.ends = true
			continue
		}
		bytes, err := expand(line)
		if err != nil {
			return c, fmt.Errorf("line %q: %w", line, err)
		}
		c.raw += bytes
	}
	return c, nil
}

func expand(line string) (string, error) {
	count := 1
	if rest, ok := strings.CutPrefix(line, "repeat "); ok {
		number, text, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			return "", err
		}
		count, line = n, text
	}
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
	return strings.Repeat(text, count), err
}

// Outcome is what a client saw of a case.
type Outcome struct {
	answers []string // "200 body", or the status alone if it is another one
	closed  bool
}

// Send sends the case to a function, and reads until the marker has been answered or the connection is closed.
func (c Case) Send(conn *net.TCPConn, host string) (Outcome, error) {
	var o Outcome
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return o, err
	}
	go c.write(conn, host)
	r := bufio.NewReader(conn)
	method, _, _ := strings.Cut(c.raw, " ")
	for !o.answersMarker() {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return o, fmt.Errorf("after %q: neither an answer nor an end", o.answers)
		}
		if err != nil {
			o.closed = true
			return o, nil
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return o, fmt.Errorf("read the body of an answer with status %d: %w", res.StatusCode, err)
		}
		o.add(res.StatusCode, string(body))
		method = http.MethodGet
	}
	return o, nil
}

// write leaves errors to the reader: a connection may well be closed before all is written.
func (c Case) write(conn *net.TCPConn, host string) {
	raw := strings.ReplaceAll(c.raw, "{host}", host)
	if !c.ends {
		raw += "GET /marker HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	}
	_, err := io.WriteString(conn, raw)
	if err == nil && c.ends {
		_ = conn.CloseWrite()
	}
}

func (o *Outcome) answersMarker() bool { return slices.Contains(o.answers, "200 "+marker) }

func (o *Outcome) add(status int, body string) {
	switch {
	case status == http.StatusOK:
		o.answers = append(o.answers, "200 "+body)
	case status >= 200:
		o.answers = append(o.answers, strconv.Itoa(status))
	}
}

// Check says what is wrong with the outcome of a case, where the app has seen these requests whole.
func (c Case) Check(o Outcome, seen []string) error {
	for _, want := range c.wants {
		if c.matches(want, o, seen) {
			return nil
		}
	}
	return fmt.Errorf("got %q, closed %v, and the app saw %q; want %q", o.answers, o.closed, seen, c.wants)
}

func (c Case) matches(want string, o Outcome, seen []string) bool {
	answers, requests, closed := expected(want)
	if !closed && !c.ends {
		answers, requests = append(answers, "200 "+marker), append(requests, marker)
	}
	return slices.Equal(o.answers, answers) && slices.Equal(seen, requests) && o.closed == (closed || c.ends)
}

// expected is what a want means: the answers, what the app sees, and whether the connection is closed.
func expected(want string) (answers, requests []string, closed bool) {
	for step := range strings.SplitSeq(want, " then ") {
		request, ok := strings.CutPrefix(step, "200 ")
		switch {
		case ok:
			request, closed = strings.CutSuffix(request, " closed")
			answers, requests = append(answers, "200 "+request), append(requests, request)
		case step == "closed":
			closed = true
		default:
			status, open := strings.CutSuffix(step, " open")
			answers, closed = append(answers, status), !open
		}
	}
	return answers, requests, closed
}
