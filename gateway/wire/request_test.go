package wire_test

import (
	"bufio"
	"bytes"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

// seen is of a request what its fields say.
type seen struct {
	method, target, host, path             string
	minor                                  int
	length                                 int64
	chunked, keepAlive, upgrade, expecting bool
}

func see(r *wire.Request) seen {
	return seen{string(r.Method), string(r.Target), string(r.Host), string(r.Path), r.Minor,
		r.ContentLength, r.Chunked, r.KeepAlive, r.Upgrade, r.ExpectContinue}
}

// parseRequest reads a head as it comes from a connection.
func parseRequest(r *wire.Request, head string) error {
	n, _, err := wire.HeadLength([]byte(head), 0)
	if err != nil {
		return err
	}
	if n != len(head) {
		return errors.New("not one head")
	}
	return r.Parse([]byte(head))
}

var accepted = map[string]struct {
	head string
	want seen
}{
	"plain": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", minor: 1, length: -1, keepAlive: true}},
	"no fields in 1.0": {"GET /a?b=c HTTP/1.0\r\n\r\n",
		seen{method: "GET", target: "/a?b=c", path: "/a?b=c", length: -1}},
	"keep-alive in 1.0": {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", length: -1, keepAlive: true}},
	"close": {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo,  CLOSE \r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", minor: 1, length: -1}},
	"close wins": {"GET / HTTP/1.0\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", length: -1}},
	"length": {"POST / HTTP/1.1\r\nhOST:a\r\ncontent-LENGTH: \t10 \r\n\r\n",
		seen{method: "POST", target: "/", host: "a", path: "/", minor: 1, length: 10, keepAlive: true}},
	"zero length": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n",
		seen{method: "POST", target: "/", host: "a", path: "/", minor: 1, keepAlive: true}},
	"longest": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
		seen{method: "POST", target: "/", host: "a", path: "/", minor: 1, length: math.MaxInt64, keepAlive: true}},
	"chunked": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
		seen{method: "POST", target: "/", host: "a", path: "/", minor: 1, length: -1, chunked: true, keepAlive: true}},
	"upgrade": {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", minor: 1, length: -1, keepAlive: true, upgrade: true}},
	"upgrade that Connection does not name": {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", minor: 1, length: -1, keepAlive: true}},
	"upgrade to nothing": {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", minor: 1, length: -1, keepAlive: true}},
	"upgrade in 1.0": {"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		seen{method: "GET", target: "/", host: "a", path: "/", length: -1}},
	"expect": {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
		seen{method: "PUT", target: "/", host: "a", path: "/", minor: 1, length: 1, keepAlive: true, expecting: true}},
	"expect in 1.0": {"PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		seen{method: "PUT", target: "/", host: "a", path: "/", length: 1}},
	"absolute form": {"GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "GET", target: "http://b:80/c?d", host: "b:80", path: "/c?d", minor: 1, length: -1, keepAlive: true}},
	"absolute form of https": {"GET HTTPS://[::1]/ HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "GET", target: "HTTPS://[::1]/", host: "[::1]", path: "/", minor: 1, length: -1, keepAlive: true}},
	"absolute form without path": {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "GET", target: "http://b", host: "b", path: "/", minor: 1, length: -1, keepAlive: true}},
	"absolute form with query only": {"GET http://b?c/d HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "GET", target: "http://b?c/d", host: "b", path: "/?c/d", minor: 1, length: -1, keepAlive: true}},
	"absolute form without Host in 1.0": {"GET http://b/ HTTP/1.0\r\n\r\n",
		seen{method: "GET", target: "http://b/", host: "b", path: "/", length: -1}},
	"asterisk": {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "OPTIONS", target: "*", host: "a", path: "*", minor: 1, length: -1, keepAlive: true}},
	"asterisk in absolute form": {"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "OPTIONS", target: "http://b", host: "b", path: "*", minor: 1, length: -1, keepAlive: true}},
	"authority form": {"CONNECT a:443 HTTP/1.1\r\nHost: b\r\n\r\n",
		seen{method: "CONNECT", target: "a:443", host: "b", path: "a:443", minor: 1, length: -1, keepAlive: true}},
	"empty Host": {"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		seen{method: "GET", target: "/", path: "/", minor: 1, length: -1, keepAlive: true}},
	"two slashes": {"GET //a/b HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "GET", target: "//a/b", host: "a", path: "//a/b", minor: 1, length: -1, keepAlive: true}},
	"strange method": {"!#$%&'*+-.^_`|~9a / HTTP/1.1\r\nHost: a\r\n\r\n",
		seen{method: "!#$%&'*+-.^_`|~9a", target: "/", host: "a", path: "/", minor: 1, length: -1, keepAlive: true}},
	"bytes of other alphabets": {"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\xff\r\n\r\n",
		seen{method: "GET", target: "/\xc3\xa4", host: "a", path: "/\xc3\xa4", minor: 1, length: -1, keepAlive: true}},
}

func TestRequestAccepted(t *testing.T) {
	var r wire.Request // one for all, so that nothing is left of the one before
	for name, test := range accepted {
		if err := parseRequest(&r, test.head); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := see(&r); got != test.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, test.want)
		}
	}
}

func TestFields(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: a\r\nA:\r\nb: \t x y\t z \t\r\na:1:2\r\nC: \"\\\"\"\r\n\r\n"
	var r wire.Request
	if err := parseRequest(&r, head); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Fields {
		got = append(got, string(f.Name)+"="+string(f.Value))
	}
	if want := []string{"Host=a", "A=", "b=x y\t z", "a=1:2", `C="\""`}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if f := r.Fields[0]; !f.Is("host") || f.Is("hos") || f.Is("hosts") || f.Is("most") {
		t.Error("Is is wrong about Host")
	}
}

// refused are heads by what is wrong with them. The smallest difference to what is accepted is enough.
var refused = map[string]struct {
	status int
	head   string
}{
	"empty":                       {400, "\r\n"},
	"no version":                  {400, "GET /\r\nHost: a\r\n\r\n"},
	"no target":                   {400, "GET HTTP/1.1\r\nHost: a\r\n\r\n"},
	"empty target":                {400, "GET  HTTP/1.1\r\nHost: a\r\n\r\n"},
	"two spaces before target":    {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
	"two spaces after target":     {400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
	"space before method":         {400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	"space after version":         {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
	"tab instead of space":        {400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	"space in target":             {400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
	"tab in target":               {400, "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"},
	"control byte in target":      {400, "GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n"},
	"DEL in target":               {400, "GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n"},
	"CR in target":                {400, "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n"},
	"no token as method":          {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
	"no method":                   {400, "/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	"HTTP/2":                      {505, "PRI * HTTP/2.0\r\n\r\n"},
	"HTTP/1.2":                    {505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
	"HTTP/0.9":                    {505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
	"malformed version":           {400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
	"version without dot":         {400, "GET / HTTP/1\r\nHost: a\r\n\r\n"},
	"version in lower case":       {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
	"another protocol":            {400, "GET / HTTQ/1.1\r\nHost: a\r\n\r\n"},
	"relative target":             {400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"},
	"asterisk for GET":            {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
	"authority form for GET":      {400, "GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n"},
	"path for CONNECT":            {400, "CONNECT /a:443 HTTP/1.1\r\nHost: a\r\n\r\n"},
	"absolute form for CONNECT":   {400, "CONNECT http://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	"no port for CONNECT":         {400, "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n"},
	"no host for CONNECT":         {400, "CONNECT :443 HTTP/1.1\r\nHost: a\r\n\r\n"},
	"another scheme":              {400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	"scheme only":                 {400, "GET http: HTTP/1.1\r\nHost: a\r\n\r\n"},
	"one slash":                   {400, "GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n"},
	"no authority":                {400, "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"},
	"no authority but query":      {400, "GET http://?a HTTP/1.1\r\nHost: a\r\n\r\n"},
	"userinfo":                    {400, "GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	"backslash in authority":      {400, "GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
	"no Host":                     {400, "GET / HTTP/1.1\r\n\r\n"},
	"no Host in absolute form":    {400, "GET http://a/ HTTP/1.1\r\n\r\n"},
	"two Hosts":                   {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
	"two Hosts in 1.0":            {400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
	"two hosts in one":            {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
	"path in Host":                {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
	"userinfo in Host":            {400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
	"folded line":                 {400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n"},
	"folded line with tab":        {400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc: d\r\n\r\n"},
	"folded first line":           {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
	"space before colon":          {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
	"tab before colon":            {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 1\r\n\r\n"},
	"no colon":                    {400, "GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n"},
	"no name":                     {400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"},
	"no token as name":            {400, "GET / HTTP/1.1\r\nHost: a\r\na(b: c\r\n\r\n"},
	"name in another alphabet":    {400, "GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa4: c\r\n\r\n"},
	"control byte in name":        {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\x0b: chunked\r\n\r\n"},
	"control byte in value":       {400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\x01\r\n\r\n"},
	"control byte in long value":  {400, "GET / HTTP/1.1\r\nHost: a\r\nA: 0123456\x1f89abcdef\r\n\r\n"},
	"DEL in value":                {400, "GET / HTTP/1.1\r\nHost: a\r\nA: 01234567\x7f9abcdef\r\n\r\n"},
	"NUL in value":                {400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\x00c\r\n\r\n"},
	"CR in value":                 {400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\rContent-Length: 5\r\n\r\n"},
	"CR before CRLF":              {400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"},
	"LF in request line":          {400, "GET / HTTP/1.1\nHost: a\r\n\r\n"},
	"LF after field":              {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
	"LF as empty line":            {400, "GET / HTTP/1.1\r\nHost: a\r\n\n"},
	"two lengths":                 {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"},
	"two equal lengths":           {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n"},
	"list of lengths":             {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"},
	"empty length":                {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
	"plus":                        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"},
	"minus":                       {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n"},
	"hexadecimal length":          {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"},
	"underscore in length":        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n"},
	"space in length":             {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\n"},
	"length with fraction":        {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n"},
	"length out of range":         {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n"},
	"length of 65 bits":           {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n"},
	"CL.TE":                       {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
	"TE.CL":                       {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"},
	"chunked in 1.0":              {400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
	"chunked twice":               {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
	"chunked twice in one":        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"},
	"gzip and chunked":            {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
	"chunked and identity":        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"},
	"identity":                    {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"},
	"xchunked":                    {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"},
	"quoted chunked":              {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n"},
	"chunked with parameter":      {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n"},
	"empty coding":                {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"},
	"control byte before chunked": {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n"},
	"folded coding":               {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"},
	"too many fields":             {431, "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a: b\r\n", 256) + "\r\n"},
}

func TestRequestRefused(t *testing.T) {
	var r wire.Request
	for name, test := range refused {
		err := parseRequest(&r, test.head)
		var wrong *wire.Error
		if !errors.As(err, &wrong) || wrong.Status != test.status || wrong.Error() == "" {
			t.Errorf("%s: got %#v, want status %d", name, err, test.status)
		}
	}
}

// TestParseNeedsNoHeadLength because nothing of what makes a head safe may depend on the caller of Parse.
func TestParseNeedsNoHeadLength(t *testing.T) {
	var r wire.Request
	for name, test := range refused {
		if err := r.Parse([]byte(test.head)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, head := range map[string]string{
		"nothing":               "",
		"incomplete":            "GET / HTTP/1.1\r\nHost: a\r\n",
		"incomplete line":       "GET / HTTP/1.1\r\nHost: a\r\n\r",
		"more than one":         "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"an empty line before":  "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"content":               "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na",
		"two LFs and no fields": "GET / HTTP/1.1\n\n",
	} {
		if err := r.Parse([]byte(head)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestMostFields(t *testing.T) {
	var r wire.Request
	err := parseRequest(&r, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("a: b\r\n", 255)+"\r\n")
	if err != nil || len(r.Fields) != 256 {
		t.Errorf("got %d fields, %v", len(r.Fields), err)
	}
}

func TestRequestFraming(t *testing.T) {
	for fields, want := range map[string]wire.Framing{
		"":                                wire.None(),
		"Content-Length: 0\r\n":           wire.Length(0),
		"Content-Length: 7\r\n":           wire.Length(7),
		"Transfer-Encoding: chunked\r\n":  wire.Chunked(),
		"Transfer-Encoding:\tCHUNKED\r\n": wire.Chunked(),
	} {
		var r wire.Request
		if err := parseRequest(&r, "POST / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n"); err != nil {
			t.Errorf("%q: %v", fields, err)
		} else if r.Framing() != want || r.HasContent() != (want != wire.None() && want != wire.Length(0)) {
			t.Errorf("%q: got %v, %v, want %v", fields, r.Framing(), r.HasContent(), want)
		}
	}
}

// TestRequestAgreement compares with what apps in Go read.
func TestRequestAgreement(t *testing.T) {
	for name, test := range accepted {
		if _, err := agree([]byte(test.head)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, test := range []string{typicalRequest, "POST /%41%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1",
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1"} {
		if _, err := agree([]byte(test)); err != nil {
			t.Errorf("%q: %v", test, err)
		}
	}
}

func TestHeadLength(t *testing.T) {
	for in, want := range map[string]int{
		"":                               0,
		"G":                              0,
		"GET / HTTP/1.1\r":               0,
		"GET / HTTP/1.1\r\n":             0,
		"GET / HTTP/1.1\r\n\r":           0,
		"GET / HTTP/1.1\r\n\r\n":         18,
		"GET / HTTP/1.1\r\n\r\nrest\n":   18,
		"GET / HTTP/1.1\r\na: b\r\n\r\n": 24,
		"\r\n":                           2,
		"\r":                             0,
	} {
		if n, _, err := wire.HeadLength([]byte(in), 0); n != want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", in, n, err, want)
		}
	}
	for _, in := range []string{"\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\na: b\n", "a\rb", "\r\r\n", "a\r\r", "a\x00", "a\r\n\n"} {
		if n, _, err := wire.HeadLength([]byte(in), 0); n != 0 || err == nil {
			t.Errorf("%q: got %d, %v, want an error", in, n, err)
		}
	}
}

// TestHeadLengthInPieces finds the same however a head arrives.
func TestHeadLengthInPieces(t *testing.T) {
	for _, in := range []string{typicalRequest, "\r\n", "a\r\n\r\nb", "a: b\r\nc\rd\r\n\r\n", "a\r\nb\n\r\n", "a\x00\r\n\r\n", "a\r\n\n"} {
		whole, _, wholeErr := wire.HeadLength([]byte(in), 0)
		for step := 1; step < 4; step++ {
			n, next, end := 0, 0, 0
			var err error
			for n == 0 && err == nil && end < len(in) {
				end = min(end+step, len(in))
				n, next, err = wire.HeadLength([]byte(in)[:end], next)
			}
			if n != whole || (err == nil) != (wholeErr == nil) {
				t.Errorf("%q by %d: got %d, %v, want %d, %v", in, step, n, err, whole, wholeErr)
			}
		}
	}
}

func TestSkipEmptyLine(t *testing.T) {
	for in, want := range map[string]int{"": 0, "\r": 0, "\n": 0, "\r\n": 2, "\r\n\r\n": 2, "GET / HTTP/1.1\r\n": 0} {
		if got := wire.SkipEmptyLine([]byte(in)); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

// readRequest is how an app in Go reads the same bytes, and what it leaves of them.
func readRequest(stream []byte) (r *http.Request, rest *bufio.Reader, err error) {
	rest = bufio.NewReader(bytes.NewReader(stream))
	r, err = http.ReadRequest(rest)
	return r, rest, err
}
