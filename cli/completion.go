package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print the completion script of a shell",
		UsageText:   "completion bash|zsh|fish",
		Description: "The packages install these scripts. By hand: source <(fnctl completion bash)",
		Action: func(c *cli.Context) error {
			shell, err := oneArg(c, "shell")
			if err != nil {
				return err
			}
			script, known := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[shell]
			if !known {
				return platform.UsageError(fmt.Errorf("there is no completion for %q: use bash, zsh or fish", shell))
			}
			_, err = fmt.Fprint(raw(c.App.Writer), script)
			return err
		},
	}
}

// completeFunctions completes the name of a function.
func completeFunctions(c *cli.Context) {
	if c.NArg() == 0 {
		printFunctions(c)
	}
}

func printFunctions(c *cli.Context) {
	names, _ := store().Functions()
	for _, name := range names {
		fmt.Fprintln(c.App.Writer, name)
	}
}

// completeFlags lets a command complete its flags, too, wherever they stand: the scripts below ask for them with a "-".
func completeFlags(command *cli.Command) {
	completeArguments := command.BashComplete
	command.BashComplete = func(c *cli.Context) {
		if words := c.Args().Slice(); len(words) == 0 || words[len(words)-1] != "-" {
			if completeArguments != nil {
				completeArguments(c)
			}
			return
		}
		for _, flag := range command.VisibleFlags() {
			for _, name := range flag.Names() {
				fmt.Fprintln(c.App.Writer, strings.Repeat("-", min(len(name), 2))+name)
			}
		}
	}
}

// The scripts ask the binary itself, so that they know the functions of the machine and need no update.
const (
	bashCompletion = `# bash completion for fnctl
_fnctl() {
    local current=${COMP_WORDS[COMP_CWORD]} request
    if [[ $current == -* ]]; then
        request=("${COMP_WORDS[@]:0:COMP_CWORD}" - --generate-bash-completion)
    else
        request=("${COMP_WORDS[@]:0:COMP_CWORD}" --generate-bash-completion)
    fi
    mapfile -t COMPREPLY < <(compgen -W "$("${request[@]}" 2>/dev/null)" -- "$current")
}
complete -o bashdefault -o default -F _fnctl fnctl
`
	zshCompletion = `#compdef fnctl
_fnctl() {
    local -a found
    local current=${words[CURRENT]}
    if [[ $current == -* ]]; then
        found=("${(@f)$(${words[@]:0:$((CURRENT-1))} - --generate-bash-completion 2>/dev/null)}")
    else
        found=("${(@f)$(${words[@]:0:$((CURRENT-1))} --generate-bash-completion 2>/dev/null)}")
    fi
    if [[ -n ${found[1]} ]]; then
        _describe values found
    else
        _files
    fi
}
if [[ ${funcstack[1]} == _fnctl ]]; then
    _fnctl "$@"
else
    compdef _fnctl fnctl
fi
`
	fishCompletion = `# fish completion for fnctl
function __fnctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    if string match -q -- '-*' $current
        command $words - --generate-bash-completion 2>/dev/null
    else
        command $words --generate-bash-completion 2>/dev/null
    end
end
complete -c fnctl -a '(__fnctl_complete)'
`
)
