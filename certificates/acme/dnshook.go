package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/fnctl/fnctl/platform"
)

const (
	// hookTimeout bounds a call of the hook: the record has to be at all servers of the zone when it returns.
	hookTimeout = 5 * time.Minute
	// maxHookOutput is how much of what a hook says is told, in bytes from the end.
	maxHookOutput = 500
)

// dnsHook is a program that makes and removes records of the DNS (RFC 8555, section 8.4):
//
//	PROGRAM present|cleanup DOMAIN RECORD VALUE
type dnsHook struct {
	program string
	// made are the records that are there.
	made *records
}

func recordOf(c acme.Challenge) record {
	return record{Domain: c.Identifier.Value, Name: c.DNS01TXTRecordName(), Value: c.DNS01KeyAuthorization()}
}

func (h dnsHook) show(ctx context.Context, c acme.Challenge) error {
	r := recordOf(c)
	if err := h.made.add(r); err != nil {
		return err
	}
	return h.call(ctx, "present", r)
}

func (h dnsHook) remove(ctx context.Context, c acme.Challenge) error {
	return h.cleanUp(ctx, recordOf(c))
}

// cleanUp removes a record.
func (h dnsHook) cleanUp(ctx context.Context, r record) error {
	if err := h.call(ctx, "cleanup", r); err != nil {
		return err
	}
	return h.made.remove(r)
}

// call runs the program to its end.
func (h dnsHook) call(ctx context.Context, what string, r record) error {
	ctx, cancel := context.WithTimeoutCause(ctx, hookTimeout, fmt.Errorf("it took more than %v", hookTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, h.program, what, r.Domain, r.Name, r.Value)
	cmd.Env = []string{"PATH=" + strings.Join(platform.SystemPath, ":"), "LANG=C.UTF-8"}
	cmd.WaitDelay = time.Second // for what the program has started, and that holds its output open
	said, err := cmd.CombinedOutput()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	said = bytes.TrimSpace(said[max(len(said)-maxHookOutput, 0):])
	return fmt.Errorf("acme.dns.hook: %s %s: %w: %s", h.program, what, err, said)
}

// removeLeft removes the records that a service has left which was killed.
func (h dnsHook) removeLeft(ctx context.Context, log *slog.Logger) {
	left, err := h.made.all()
	if err != nil {
		log.Error("find the records of the DNS that were left", "err", err)
	}
	for _, r := range left {
		if err := h.cleanUp(ctx, r); err != nil {
			log.Warn("remove a record of the DNS that was left", "record", r.Name, "err", err)
		}
	}
}
