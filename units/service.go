package units

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

func service(paths platform.Paths, rev platform.Revision) (string, error) {
	command, err := commandLine(rev)
	if err != nil {
		return "", err
	}
	if rev.Poised {
		command = paths.Poise() + " -- " + command
	}
	var w writer
	w.comment(fmt.Sprintf(header, rev.ID))
	w.section("Unit")
	w.set("Description", fmt.Sprintf("fnctl function %s, revision %05d, instance %%i", rev.ID.Function, rev.ID.Number))
	w.comment("One instance at its start limit would fail its socket; the pause after each stop bounds the rate instead.")
	w.set("StartLimitIntervalSec", "0")
	w.comment("A failed instance leaves nothing in the memory of PID 1; its journal stays.")
	w.set("CollectMode", "inactive-or-failed")

	w.comment("Its socket is ordered after the boot already.")
	w.all("DefaultDependencies=no", "Conflicts=shutdown.target", "Before=shutdown.target")
	requireFilter(&w, rev.Config.Network)

	w.section("Service")
	w.set("Type", "exec")
	w.comment("systemd gives each file of the app to the user of the function before. Whoever starts it limits the rest.")
	w.set("TimeoutStartSec", keys.FormatDuration(platform.CopyTimeout))
	w.set("Slice", platform.SliceName(rev.ID.Function))
	w.set("ExecStart", withSecrets(rev, command))
	if rev.Poised { // the journal would have the name of what waits
		w.set("SyslogIdentifier", identifier(rev.Command[0]))
	}
	writeEnvironment(&w, paths, rev)
	writeStop(&w, rev.Config.StopTimeout)
	writeStandby(&w, paths, rev)
	writeLimits(&w, rev.Config.Instance)
	writeSandbox(&w, paths, rev)
	return w.String(), nil
}

// longestIdentifier bounds what stands before each line of the journal.
const longestIdentifier = 64

// identifier is the name of a program as the journal shows it, without what a unit file or a terminal could misunderstand.
func identifier(program string) string {
	name := strings.Map(func(c rune) rune {
		if c < 0x80 && isPlain(string(c)) && c != '/' {
			return c
		}
		return '_'
	}, filepath.Base(program))
	return name[:min(len(name), longestIdentifier)]
}

// commandLine is the value of ExecStart=. A relative program is one of the app's own files.
func commandLine(rev platform.Revision) (string, error) {
	if len(rev.Command) == 0 || rev.Command[0] == "" {
		return "", errors.New("the command is empty")
	}
	words := make([]string, len(rev.Command))
	for i, arg := range rev.Command {
		if err := checkText(arg); err != nil {
			return "", fmt.Errorf("argument %d: %w", i, err)
		}
		words[i] = quoteArg(arg)
	}
	if !filepath.IsAbs(rev.Command[0]) {
		program := quote(filepath.Clean("/" + rev.Command[0]))
		if rev.Runtime.TakesPort() || rev.Poised || rev.Secrets != nil {
			program = strings.ReplaceAll(program, "$", "$$") // it is an argument, where systemd expands variables
		}
		words[0] = `"` + workDirectory(rev.ID) + strings.TrimPrefix(program, `"`)
	}
	if rev.Runtime.TakesPort() {
		words = append(slices.Clone(shim), words...)
	}
	return strings.Join(words, " "), nil
}

// shim is what passes the connections of an instance on to its port. Whoever has started the instance limits how long it waits
// for that.
var shim = []string{"/usr/bin/fnctl", "shim", "--"}

func workDirectory(id platform.RevisionID) string {
	return "%C/" + platform.WorkdirName(id.String()+"@%i")
}

func writeEnvironment(w *writer, paths platform.Paths, rev platform.Revision) {
	work := workDirectory(rev.ID)
	w.comment("The instance's own copy of the app. systemd gives it to the user of the function.")
	w.set("CacheDirectory", platform.WorkdirName(rev.ID.String()+"@%i"))
	w.set("CacheDirectoryMode", "0700")
	w.set("WorkingDirectory", work)
	w.all(
		"Environment=HOME="+work,
		"Environment=PYTHONUNBUFFERED=1",
		"Environment=K_SERVICE="+rev.ID.Function,
		"Environment=K_REVISION="+rev.ID.String(),
		"Environment=HOSTNAME="+rev.ID.String()+"-%i",
		"Environment=FNCTL_BUSY="+work+"/"+platform.BusyFile,
	)
	if venv := rev.VenvDir(paths); venv != "" {
		w.set("Environment", "PATH="+venv+"/bin:"+strings.Join(platform.SystemPath, ":"))
	}
	if rev.SourceDir != "" {
		w.set("Environment", "PYTHONPATH="+work+"/"+rev.SourceDir)
	}
	if rev.Runtime == platform.RuntimeHypercorn {
		w.set("Environment", "FNCTL_APP="+rev.App)
	}
	writeThreads(w, rev.Config)
	if rev.Config.DiskSize > 0 {
		w.comment("Persistent, and shared by all instances and revisions of the function.")
		w.set("StateDirectory", platform.WorkspaceName(rev.ID.Function))
		w.set("StateDirectoryMode", "0700")
		w.set("Environment", "JCLOUD_WORKSPACE=%S/"+platform.WorkspaceName(rev.ID.Function))
	}
	w.comment("Read by PID 1, who alone may: no value is in a unit, a process list or a log.")
	for _, file := range paths.EnvFiles(rev.ID) {
		w.set("EnvironmentFile", file)
	}
	writePoise(w, paths, rev)
	writeCredentials(w, paths, rev)
}

// writePoise has the program before the app wait for a connection if the instance is to be poised: its mark sets the variable.
func writePoise(w *writer, paths platform.Paths, rev platform.Revision) {
	if !rev.Poised {
		return
	}
	some := platform.InstanceID{Revision: rev.ID}
	w.comment("Poised: the sandbox is made ahead of the first request.")
	w.set("EnvironmentFile", "-"+strings.Replace(paths.Mark(some, platform.MarkPoised), some.String(), rev.ID.String()+"@%i", 1))
}

// threadVariables are those by which libraries of numbers size their pools of threads. They would ask how many cores the machine has,
// and not how many the tier has, and spend the time of those on switching between threads.
var threadVariables = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"}

func writeThreads(w *writer, config platform.Config) {
	threads := max(1, int(math.Ceil(config.Instance.Cores/float64(max(1, config.Workers)))))
	for _, name := range threadVariables {
		w.set("Environment", fmt.Sprintf("%s=%d", name, threads))
	}
}

func writeStop(w *writer, timeout platform.Duration) {
	w.comment("The server is asked to stop, and its workers are left to it.")
	w.set("KillMode", "mixed")
	w.set("TimeoutStopSec", keys.FormatDuration(time.Duration(timeout)))
	w.comment("An app that ends at once is started again for as long as a request waits. systemd doesn't look at the socket\n" +
		"during this pause, so that happens once a second instead of hundreds of times.")
	w.set("ExecStopPost", "+/bin/sleep 1")
}

// writeStandby makes an instance one that can be frozen. Whoever stops it thaws it before: otherwise it would not see SIGTERM.
func writeStandby(w *writer, paths platform.Paths, rev platform.Revision) {
	if rev.Config.Autoscale.Standby == 0 {
		return
	}
	some := platform.InstanceID{Revision: rev.ID}
	file := quoteArg(platform.InstanceCgroup(paths, platform.SliceName(rev.ID.Function), some).Sleeper().FreezeFile())
	w.comment("standby: its processes are frozen in a control group below its own.")
	w.set("Delegate", "")
	w.set("ExecStop", `-+/bin/sh -c '[ ! -e "$$0" ] || echo 0 >"$$0"' `+strings.Replace(file, some.Service(), "fn-"+rev.ID.String()+"@%i.service", 1))
}

func writeLimits(w *writer, tier platform.Tier) {
	w.comment("Tier " + tier.Name + ".")
	w.set("CPUQuota", fmt.Sprintf("%d%%", tier.CPUQuotaPercent()))
	w.set("MemoryMax", fmt.Sprint(tier.MemoryBytes()))
	w.set("MemorySwapMax", "0")
	w.comment("A part of an app without the rest may never answer: all of it is killed, and starts anew.")
	w.set("OOMPolicy", "kill")
	w.comment("If the machine runs out of memory, a function goes before what it runs on.")
	w.set("OOMScoreAdjust", "500")
	w.set("TasksMax", fmt.Sprint(tasksMax(tier)))
	w.comment("Each connection takes a descriptor, and the default of 1,024 is from the time of select(2).")
	w.set("LimitNOFILE", "65536:524288")
}

// tasksMax bounds the processes and threads of an instance: room for the thread pools of the usual servers, and an end
// to a fork bomb.
func tasksMax(tier platform.Tier) int {
	return 256 + 128*int(math.Ceil(tier.Cores))
}
