package gateway

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/gateway/wire"
)

// toTLS is where requests without TLS are sent to come back.
type toTLS struct {
	challenges   certificates.Challenges
	certificates *certificates.Cache
	port         string // with a colon; "": that of https
}

func newToTLS(cfg *Config) toTLS {
	t := toTLS{challenges: cfg.Challenges, certificates: cfg.Certificates}
	for _, listener := range cfg.Secure {
		if addr, is := listener.Addr().(*net.TCPAddr); is && addr.Port != 443 {
			t.port = ":" + strconv.Itoa(addr.Port)
		}
	}
	return t
}

// redirect is the answer to a request that came without TLS where only TLS is served: the way to come back, or what an authority looks for.
func (x *exchange) redirect(host string) *refusal {
	if token, is := strings.CutPrefix(x.path, certificates.ChallengePath); is {
		if authorization, is := x.proxy.toTLS.challenges.HTTP(token); is {
			return &refusal{code: http.StatusOK, text: string(authorization)}
		}
		return &refusal{code: http.StatusNotFound, text: "no authority was asked to look for this"}
	}
	if _, refused := x.proxy.fleet.find(host, x.path); refused != nil && refused.code == http.StatusNotFound {
		return refused
	}
	if x.proxy.toTLS.certificates.Find(host) == nil {
		return noCertificate(host)
	}
	location := "https://" + host + x.proxy.toTLS.port + string(x.req.Path)
	return &refusal{code: http.StatusPermanentRedirect, text: "this is at " + location, more: []wire.Field{{Name: []byte("Location"), Value: []byte(location)}}}
}

func noCertificate(host string) *refusal {
	return &refusal{code: http.StatusServiceUnavailable, text: fmt.Sprintf("%s has no certificate yet: see fnctl doctor", host)}
}
