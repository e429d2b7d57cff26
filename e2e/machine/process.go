//go:build e2e

package machine

import "os/exec"

// process is a started command that is being waited for.
type process struct {
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	waitErr error         // to be read after done
}

func watch(cmd *exec.Cmd) *process {
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.waitErr = cmd.Wait()
		close(p.done)
	}()
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) err() error {
	<-p.done
	return p.waitErr
}
