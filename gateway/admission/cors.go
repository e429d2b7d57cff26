package admission

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
	requestMethod    = "Access-Control-Request-Method"
	requestHeaders   = "Access-Control-Request-Headers"
)

// cors are the rules by which browsers let the scripts of other sites ask the function (https://fetch.spec.whatwg.org/#http-cors-protocol).
type cors struct {
	any         bool
	origins     map[string]bool
	credentials bool
	methods     string
	headers     string // "": whatever is asked for
	maxAge      string
}

func newCORS(c *platform.CORS) *cors {
	if c == nil {
		return nil
	}
	rules := &cors{
		origins: make(map[string]bool), credentials: c.Credentials,
		methods: strings.Join(c.Methods, ", "), headers: strings.Join(c.Headers, ", "),
		maxAge: strconv.FormatInt(int64(time.Duration(c.MaxAge)/time.Second), 10),
	}
	for _, origin := range c.Origins {
		rules.any = rules.any || origin == platform.AnyOrigin
		rules.origins[origin] = true
	}
	return rules
}

// allowed returns what a site is told that may read the response, nil if it may not.
func (c *cors) allowed(origin []byte) []byte {
	switch {
	case c.any:
		return []byte(platform.AnyOrigin)
	case c.origins[string(origin)]:
		return bytes.Clone(origin)
	}
	return nil
}

// isPreflight reports whether a request is the question of a browser whether another one may be sent. What an app may take for another
// method is none.
func isPreflight(r *Request) bool {
	if r.Method != http.MethodOptions || !r.Plain || r.has("x-http-method-override") || r.has("x-http-method") || r.has("x-method-override") {
		return false
	}
	_, origin := r.only("origin")
	method, has := r.only(requestMethod)
	return origin && has && wire.IsToken(method)
}

// preflight is the answer to one.
func (c *cors) preflight(r *Request) *Denial {
	origin, _ := r.only("origin")
	allowed := c.allowed(origin)
	if allowed == nil {
		return forbidden(ReasonCORS, fmt.Sprintf("the origin %s is none of cors.origins", platform.Clip(string(origin))))
	}
	fields := c.appendFields(nil, nil, allowed)
	fields = append(fields, field("Access-Control-Allow-Methods", c.methods), field("Access-Control-Max-Age", c.maxAge))
	headers := c.headers
	if asked, once := r.only(requestHeaders); headers == "" && once {
		headers = string(asked)
		fields = append(fields, field("Vary", requestHeaders))
	}
	if headers != "" {
		fields = append(fields, field("Access-Control-Allow-Headers", headers))
	}
	return &Denial{Status: http.StatusNoContent, Fields: fields}
}

// appendFields appends what a response says to browsers, unless the app has said it. allowed is nil if the site may not read it, or there
// is none: caches must know that others may.
func (c *cors) appendFields(dst, app []wire.Field, allowed []byte) []wire.Field {
	for i := range app {
		if app[i].Is(allowOrigin) {
			return dst
		}
	}
	if !c.any {
		dst = append(dst, field("Vary", "Origin"))
	}
	if allowed == nil {
		return dst
	}
	dst = append(dst, wire.Field{Name: []byte(allowOrigin), Value: allowed})
	if c.credentials {
		dst = append(dst, field(allowCredentials, "true"))
	}
	return dst
}
