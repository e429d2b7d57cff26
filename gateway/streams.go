package gateway

import "context"

// stream makes an exchange one that is concluded when its instance drains, until the result is called.
func (l *lease) stream(x *exchange) (done func()) {
	p, inst := l.pool, l.instance
	p.mu.Lock()
	defer p.mu.Unlock()
	inst.streams[x] = struct{}{}
	if inst.state == draining {
		p.concludeStreams(inst)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(inst.streams, x)
	}
}

// concludeStreams ends the WebSockets and event streams of an instance when their time of grace is over. They would last for
// as long as their clients like, and those know how to come again.
func (p *pool) concludeStreams(inst *instance) {
	if len(inst.streams) == 0 {
		return
	}
	grace := p.limits.grace
	p.crew.Go(func(ctx context.Context) {
		sleep(ctx, grace)
		p.mu.Lock()
		defer p.mu.Unlock()
		for x := range inst.streams {
			x.conclude()
		}
	})
}

// concludeStreams ends the streams of all instances, after their time of grace.
func (f *fleet) concludeStreams() {
	_, pools := f.survey()
	for _, p := range pools {
		p.mu.Lock()
		for _, inst := range p.instances {
			p.concludeStreams(inst)
		}
		p.mu.Unlock()
	}
}
