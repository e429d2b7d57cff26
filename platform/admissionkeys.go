package platform

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

const (
	maxRate = 1_000_000
	// maxOpenPaths bounds what each request is compared with, as maxNetworks does.
	maxOpenPaths = 100
)

// The kinds of what the keys of admission have.
var (
	usersFiles = keys.Text[string]{Parse: keys.Checked(checkUsersFile), Pattern: `^[^/]`, What: "the path of a file in the app's directory"}
	openPaths  = keys.List[string]{Of: keys.Text[string]{
		Parse: keys.Checked(checkOpenPath), Pattern: openPath.String(), What: "a path such as /healthz or /hooks/*",
	}}
	senders = keys.Text[string]{Parse: keys.Checked(checkSender), Pattern: `^(address|token|header:.+)$`, What: "address, token or header:NAME"}
	origins = keys.List[string]{Of: keys.Text[string]{
		Parse: keys.Checked(checkOrigin), Pattern: `^(\*|https?://[^/]+)$`, What: "an origin such as https://app.example.com",
	}}
	methods = keys.List[string]{Of: keys.Text[string]{Parse: keys.Checked(checkMethod), Pattern: `^[A-Z]+$`, What: "a method such as GET"}}
	headers = keys.List[string]{Of: keys.Text[string]{
		Parse: keys.Checked(checkHeader), Pattern: tokenPattern.String(), What: "the name of a header",
	}}
	rates     = keys.Integer{Min: 1, Max: maxRate}
	rateTimes = keys.Seconds[Duration]{Min: Duration(time.Second), Max: Duration(keys.Day)}
	ages      = keys.Seconds[Duration]{Min: 0, Max: Duration(keys.Day)}
)

// openPath is a path that everybody may ask for. What may be written in several ways is not allowed, as with rulePath.
var openPath = regexp.MustCompile(`^(/|(/[A-Za-z0-9._~-]+)+(/\*)?)$`)

func checkOpenPath(path string) error {
	if len(path) > maxRulePath || !openPath.MatchString(path) || hasDots(path) {
		return fmt.Errorf("must be a path such as /healthz, or /hooks/* for what is below it, of letters, digits and .-_~, got %s",
			keys.Quote(path))
	}
	return nil
}

func checkUsersFile(file string) error {
	if !filepath.IsLocal(file) || path.Clean(file) != file || file == "." {
		return fmt.Errorf("must be the path of a file in the app's directory, got %s", keys.Quote(file))
	}
	return nil
}

func checkSender(by string) error {
	name, is := strings.CutPrefix(by, byHeader)
	if by == ByAddress || by == ByToken || is && tokenPattern.MatchString(name) {
		return nil
	}
	return fmt.Errorf("must be address, token or header:NAME, got %s", keys.Quote(by))
}

func checkOrigin(origin string) error {
	if origin == AnyOrigin {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ToLower(u.Scheme+"://"+u.Host) != origin {
		return fmt.Errorf("must be an origin as browsers send it, such as https://app.example.com, without a slash at its end, or *, got %s",
			keys.Quote(origin))
	}
	return nil
}

var methodPattern = regexp.MustCompile(`^[A-Z]{1,20}$`)

func checkMethod(method string) error {
	if !methodPattern.MatchString(method) {
		return fmt.Errorf("must be a method such as GET, got %s", keys.Quote(method))
	}
	return nil
}

func checkHeader(name string) error {
	if !tokenPattern.MatchString(name) {
		return fmt.Errorf("must be the name of a header, got %s", keys.Quote(name))
	}
	return nil
}

// admissionKeys are the keys of jcloud.yml that say who may come in.
var admissionKeys = []keys.Key[draft]{
	{Path: "auth", Doc: "Who may come in. Without it, everybody may. Each way is enough ([auth.md](auth.md))."},
	{Path: "auth.basic", Doc: "A user and a password, as browsers ask for them.", Rules: required("users")},
	{
		Path: "auth.basic.users", Doc: "The file with the users, as `htpasswd -B` writes it. It stays behind when the app is copied.",
		Example: "users.htpasswd",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.usersFile, usersFiles) },
	},
	{
		Path: "auth.token", Doc: "A token of the function, in the header `Authorization: Bearer TOKEN`. `fnctl token` makes them.",
		Default: "false", Example: "true",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.auth.Token, keys.Boolean{}) },
	},
	{
		Path: "auth.open", Doc: "Paths for everybody: a path, or `PATH/*` for what is below it. A path that is not written in the simplest way " +
			"is never open.",
		Example: "[/healthz, /hooks/*], token: true",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.auth.Open, openPaths) },
	},
	{
		Path: "allow", Doc: "Networks from which requests come in; others get a 403.",
		DefaultText: "all", Example: "[192.0.2.0/24, '2001:db8::/32']",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.Allow, networks) },
	},
	{
		Path: "deny", Doc: "Networks from which none do, also if `allow` has them.",
		Example: "[192.0.2.66]",
		Bind:    func(d *draft) keys.Value { return keys.Bind(&d.Deny, networks) },
	},
	{Path: "rate_limit", Doc: "How many requests one sender may send; more get a 429.", Rules: required("requests")},
	{
		Path: "rate_limit.requests", Doc: "How many within `per`.",
		DefaultText: "required", Example: "100",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.rateLimit.Requests, rates) },
	},
	{
		Path: "rate_limit.per", Doc: "The time for which `requests` counts.",
		Default: "1m", Example: "1h, requests: 1000",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.rateLimit.Per, rateTimes) },
	},
	{
		Path: "rate_limit.by", Doc: "What tells senders apart: their address (with IPv6 its /64), the token or user that `auth` has found, or a header, " +
			"which clients may choose. Who has no token or header is told by the address.",
		Default: ByAddress, Example: "header:X-Api-Key, requests: 100",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.rateLimit.By, senders) },
	},
	{
		Path: "rate_limit.burst", Doc: "How many may come at once.",
		DefaultText: "`requests`", Example: "20, requests: 100",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.rateLimit.Burst, rates) },
	},
	{
		Path: "cors", Doc: "Which sites' scripts may read the answers. Preflights are answered without the app. Without it, that is the app's.",
		Rules: required("origins"),
	},
	{
		Path: "cors.origins", Doc: "The origins of the sites, or `*` for all.",
		DefaultText: "required", Example: "[https://app.example.com]",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.cors.Origins, origins) },
	},
	{
		Path: "cors.credentials", Doc: "Whether browsers send cookies and passwords along. Not with the origin `*`.",
		Default: "false", Example: "true, origins: https://app.example.com",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.cors.Credentials, keys.Boolean{}) },
	},
	{
		Path: "cors.methods", Doc: "The methods that scripts may use.",
		DefaultText: "GET, HEAD, POST, PUT, PATCH, DELETE", Example: "[GET, POST], origins: '*'",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.cors.Methods, methods) },
	},
	{
		Path: "cors.headers", Doc: "The headers that scripts may set.",
		DefaultText: "those they ask for", Example: "[Content-Type, Authorization], origins: '*'",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.cors.Headers, headers) },
	},
	{
		Path: "cors.max_age", Doc: "How long a browser may remember that.",
		Default: "600", Example: "1h, origins: '*'",
		Bind: func(d *draft) keys.Value { return keys.Bind(&d.cors.MaxAge, ages) },
	},
}

// required is the rule that a section, if it is one, has a key.
func required(name string) []keys.Schema {
	return []keys.Schema{{"if": keys.Schema{"type": "object"}, "then": keys.Given(name)}}
}

// defaultMethods are those of cors.methods.
var defaultMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// checkAdmission sets who may come in.
func (r configRecord) checkAdmission() {
	r.checkAuth()
	r.checkRateLimit()
	r.checkCORS()
	c := &r.Values.Config
	for path, list := range map[string]int{"allow": len(c.Allow), "deny": len(c.Deny), "auth.open": len(r.Values.auth.Open)} {
		if list > maxOpenPaths {
			r.Report(path, "must have at most %d entries, got %d", maxOpenPaths, list)
		}
	}
}

func (r configRecord) checkAuth() {
	if !r.Has("auth") {
		return
	}
	auth := &r.Values.auth
	switch {
	case !r.Valid("auth.basic.users", "auth.token"):
		return
	case r.Has("auth.basic") && !r.Has("auth.basic.users"):
		r.ReportAt("auth.basic", "auth.basic.users", "required, %s", usersFiles.Describe())
		return
	case !r.Has("auth.basic") && !auth.Token:
		r.Report("auth", "needs a way to come in: basic, or token: true")
		return
	}
	if r.Has("auth.basic") {
		auth.Basic = &BasicAuth{Users: r.Values.usersFile}
	}
	r.Values.Auth = auth
}

func (r configRecord) checkRateLimit() {
	limit := &r.Values.rateLimit
	switch {
	case !r.Has("rate_limit"):
		return
	case !r.Has("rate_limit.requests"):
		r.ReportAt("rate_limit", "rate_limit.requests", "required, %s", rates.Describe())
		return
	case limit.By == ByToken && r.Valid("rate_limit.by") && !r.Has("auth"):
		r.Report("rate_limit.by", "must not be token without auth: nothing would tell senders apart")
	}
	if limit.Burst == 0 {
		limit.Burst = limit.Requests
	}
	r.Values.RateLimit = limit
}

var errAnyWithCredentials = errors.New("must not be true with the origin *: every site could act for the users of this one; " +
	"name the origins")

func (r configRecord) checkCORS() {
	cors := &r.Values.cors
	switch {
	case !r.Has("cors"):
		return
	case !r.Has("cors.origins") || r.Valid("cors.origins") && len(cors.Origins) == 0:
		r.ReportAt("cors", "cors.origins", "required, %s", origins.Describe())
		return
	}
	if slices.Contains(cors.Origins, AnyOrigin) {
		if cors.Credentials {
			r.Report("cors.credentials", "%v", errAnyWithCredentials)
		}
		if len(cors.Origins) > 1 {
			r.Report("cors.origins", "must not have others beside *, which is all of them")
		}
	}
	if len(cors.Methods) == 0 {
		cors.Methods = defaultMethods
	}
	r.Values.CORS = cors
}
