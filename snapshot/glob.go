package snapshot

import "strings"

// ignoreGlob is a pattern of git's for paths. It is matched as a set of states, one byte at a time, so that no pattern
// takes more time than its length times that of the path.
type ignoreGlob []globToken

type globToken struct {
	kind globKind
	set  [4]uint64 // of globSet: the bytes that match
}

type globKind int

const (
	globSet      globKind = iota // one byte of a set
	globStar                     // *: anything without a slash
	globDirs                     // **/: no directory, or several
	globAnything                 // ** at the end
)

func (t *globToken) add(b byte)      { t.set[b/64] |= 1 << (b % 64) }
func (t *globToken) has(b byte) bool { return t.set[b/64]&(1<<(b%64)) != 0 }

// parseGlob reads a pattern. One that is malformed matches nothing.
func parseGlob(pattern string) (glob ignoreGlob, ok bool) {
	for i := 0; i < len(pattern); {
		var token globToken
		n := 1
		switch pattern[i] {
		case '*':
			n, token.kind = parseStars(pattern, i)
		case '?':
			token.addRange(0, 255, func(b byte) bool { return b != '/' })
		case '[':
			if n = token.parseClass(pattern[i:]); n == 0 {
				return nil, false
			}
		case '\\':
			if n = 2; i+1 == len(pattern) {
				return nil, false
			}
			token.add(pattern[i+1])
		default:
			token.add(pattern[i])
		}
		glob = append(glob, token)
		i += n
	}
	return glob, true
}

// parseStars reads the stars at i. Two of them are special only as a whole part of a path.
func parseStars(pattern string, i int) (n int, kind globKind) {
	rest := strings.TrimLeft(pattern[i:], "*")
	n = len(pattern) - i - len(rest)
	switch {
	case n == 1 || i > 0 && pattern[i-1] != '/':
		return n, globStar
	case rest == "":
		return n, globAnything
	case rest[0] == '/':
		return n + 1, globDirs
	}
	return n, globStar
}

// classes are the named sets of bytes, [:digit:] and the like.
var classes = map[string]func(b byte) bool{
	"alnum":  func(b byte) bool { return isAlpha(b) || isDigit(b) },
	"alpha":  isAlpha,
	"blank":  func(b byte) bool { return b == ' ' || b == '\t' },
	"cntrl":  func(b byte) bool { return b < ' ' || b == 0x7f },
	"digit":  isDigit,
	"graph":  func(b byte) bool { return b > ' ' && b < 0x7f },
	"lower":  func(b byte) bool { return 'a' <= b && b <= 'z' },
	"print":  func(b byte) bool { return b >= ' ' && b < 0x7f },
	"punct":  func(b byte) bool { return b > ' ' && b < 0x7f && !isAlpha(b) && !isDigit(b) },
	"space":  func(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' },
	"upper":  func(b byte) bool { return 'A' <= b && b <= 'Z' },
	"xdigit": func(b byte) bool { return isDigit(b) || 'a' <= b|0x20 && b|0x20 <= 'f' },
}

func isAlpha(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// parseClass reads a set in brackets and returns its length, or 0 if it is malformed.
func (t *globToken) parseClass(text string) int {
	i := 1
	negated := i < len(text) && (text[i] == '!' || text[i] == '^')
	if negated {
		i++
	}
	for first := true; ; first = false {
		switch {
		case i >= len(text):
			return 0
		case text[i] == ']' && !first:
			t.finishClass(negated)
			return i + 1
		case strings.HasPrefix(text[i:], "[:"):
			name, found := className(text[i:])
			if found && classes[name] == nil {
				return 0
			}
			if found {
				t.addRange(0, 255, classes[name])
				i += len("[:" + name + ":]")
				continue
			}
		}
		from, n := classByte(text[i:])
		i += n
		to := from
		if i+1 < len(text) && text[i] == '-' && text[i+1] != ']' {
			to, n = classByte(text[i+1:])
			i += n + 1
		}
		if n == 0 {
			return 0
		}
		t.addRange(from, to, func(byte) bool { return true })
	}
}

// className reads the name of a named set. Without its end, the bracket is a byte like others.
func className(text string) (name string, found bool) {
	name, _, _ = strings.Cut(text[len("[:"):], "]")
	return strings.CutSuffix(name, ":")
}

// classByte reads one byte in brackets, perhaps escaped.
func classByte(text string) (b byte, n int) {
	switch {
	case text[0] != '\\':
		return text[0], 1
	case len(text) > 1:
		return text[1], 2
	}
	return 0, 0
}

func (t *globToken) addRange(from, to byte, in func(byte) bool) {
	for b := int(from); b <= int(to); b++ {
		if in(byte(b)) {
			t.add(byte(b))
		}
	}
}

// finishClass makes a class not match a slash, whatever is in it.
func (t *globToken) finishClass(negated bool) {
	if negated {
		for i := range t.set {
			t.set[i] = ^t.set[i]
		}
	}
	t.set['/'/64] &^= 1 << ('/' % 64)
}

// match reports whether the pattern matches a path as a whole.
func (g ignoreGlob) match(path string) bool {
	now, next := make([]bool, len(g)+1), make([]bool, len(g)+1)
	g.enter(now, 0)
	for i := range len(path) {
		clear(next)
		alive := false
		for at := range g {
			alive = now[at] && g.step(next, at, path[i]) || alive
		}
		if !alive {
			return false
		}
		now, next = next, now
	}
	return now[len(g)]
}

// enter makes a state current, and those that are reached from there without a byte.
func (g ignoreGlob) enter(states []bool, at int) {
	for ; at < len(g) && g[at].kind != globSet; at++ {
		states[at] = true
	}
	states[at] = true
}

// step takes one byte from a state to others, and reports whether there are any.
func (g ignoreGlob) step(next []bool, at int, b byte) bool {
	switch token := &g[at]; {
	case token.kind == globSet && !token.has(b), token.kind == globStar && b == '/':
		return false
	case token.kind == globSet:
		g.enter(next, at+1)
	case token.kind == globDirs && b != '/':
		next[at] = true
	default:
		g.enter(next, at)
	}
	return true
}
