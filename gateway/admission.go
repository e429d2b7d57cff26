package gateway

import (
	"context"
	"encoding/hex"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"time"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

// policies say who may come in to each function. They follow the routes, which have the rules, and the files of users and of tokens.
type policies struct {
	paths platform.Paths
	guard *admission.Guard
	log   *slog.Logger
	of    map[string]*policy
}

// policy is that of one function, with what it was made of.
type policy struct {
	*admission.Policy
	rules   platform.Admission
	users   auth.Users
	problem string // that was told last
}

func newPolicies(cfg Config) *policies {
	return &policies{paths: cfg.Paths, guard: admission.NewGuard(), log: cfg.Logger, of: make(map[string]*policy)}
}

// read makes the policy of a function that of its route, and reports whether it is another one than before. What of its files cannot be
// read lets nobody in.
func (p *policies) read(route platform.Route) (changed bool) {
	name, rules := route.Function, route.Admission
	before := p.of[name]
	if rules == nil {
		delete(p.of, name)
		return before != nil
	}
	now := &policy{rules: *rules}
	var err error
	if rules.UsersFile() != "" {
		now.users, err = auth.ReadUsers(p.paths, route.Newest())
	}
	switch {
	case before == nil:
		now.Policy = p.guard.Policy(name, *rules, now.users, nil)
	case reflect.DeepEqual(before.rules, *rules) && maps.Equal(before.users, now.users) && (before.users == nil) == (now.users == nil):
		now = before
	default:
		now.Policy, now.problem = p.guard.Policy(name, *rules, now.users, before.Policy), before.problem
	}
	if err == nil && now.NeedsTokens() {
		err = p.readTokens(name, now)
	}
	p.report(name, now, err)
	p.of[name] = now
	return now != before
}

func (p *policies) readTokens(name string, of *policy) error {
	tokens, err := auth.ReadTokens(p.paths, name)
	if err == nil {
		err = of.SetTokens(tokens)
	}
	if err != nil {
		of.CloseTokens()
	}
	return err
}

// forget drops the policy of a function that is gone.
func (p *policies) forget(name string) { delete(p.of, name) }

// report logs what is new.
func (p *policies) report(name string, of *policy, err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != "" && problem != of.problem {
		p.log.Error("who may come in cannot be read: nobody may", "function", name, "err", err)
	}
	of.problem = problem
}

// all are the policies by function.
func (p *policies) all() map[string]*admission.Policy {
	all := make(map[string]*admission.Policy, len(p.of))
	for name, of := range p.of {
		all[name] = of.Policy
	}
	return all
}

// rates are what senders have used of the limits of functions.
func (f *fleet) rates() (all []rates) {
	for name, policy := range f.table.Load().policies {
		times := policy.Rates(time.Now())
		if len(times) == 0 {
			continue
		}
		named := make(map[string]int64, len(times))
		for s, at := range times {
			named[hex.EncodeToString(s[:])] = at
		}
		all = append(all, rates{name, named})
	}
	return all
}

// adoptRates adds what senders have used of them at the gateway before this one. What is not understood is left out.
func (f *fleet) adoptRates(all []rates) {
	policies := f.table.Load().policies
	for _, r := range all {
		policy := policies[r.Function]
		if policy == nil {
			continue
		}
		times := make(map[admission.Sender]int64, len(r.Times))
		for name, at := range r.Times {
			var s admission.Sender
			if len(name) == hex.EncodedLen(len(s)) {
				if _, err := hex.Decode(s[:], []byte(name)); err == nil {
					times[s] = at
				}
			}
		}
		policy.AdoptRates(times)
	}
}

// admit decides whether the request comes in to a destination, and returns why it does not.
func (x *exchange) admit(to destination) *refusal {
	x.policy, x.entry = to.policy, nil
	if to.policy == nil {
		return nil
	}
	addr, _ := netip.ParseAddr(x.sender.client)
	entry, denial := to.policy.Decide(&admission.Request{
		Method: x.method, Path: withoutPrefix(x.path, to.prefix()), Fields: x.req.Fields, Addr: addr, Plain: !x.content && !x.req.Upgrade,
		Context: func() context.Context { return x.contextUntil(x.began.Add(admission.MaxWait)) },
	}, x.began)
	x.entry = entry
	if denial == nil {
		return nil
	}
	if denial.Reason != "" {
		to.function.denied(denial.Reason)
	}
	return &refusal{code: denial.Status, text: denial.Text, more: denial.Fields}
}

// deny answers a request that does not come in. It is none of the function's: it wakes nothing, and counts as no load.
func (x *exchange) deny(to destination, r *refusal) {
	x.function = to.function
	x.refuse(r)
	x.record(time.Now(), "")
	x.lifetime.close()
}

// find returns where the request goes by now. Another destination than the one that it came in to may not let it in.
func (x *exchange) find() (destination, *refusal) {
	to, refused := x.proxy.fleet.find(x.host, x.path)
	if refused == nil && to.policy != x.policy {
		refused = x.admit(to)
	}
	return to, refused
}
