package auth

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

const (
	// MaxUsersFile bounds a file of users, in bytes.
	MaxUsersFile = 1 << 20
	// maxName is the greatest length of the name of a user, in bytes.
	maxName = 100
	// maxCost is the highest cost of a hash: to check one more costs twice as long, and one of 12 a quarter of a second.
	maxCost = 12
)

// Users are the hashes of the passwords, by the names of the users.
type Users map[string]string

var bcryptPattern = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

// ParseUsers reads a file of users, as htpasswd -B writes it: NAME:HASH a line. The file is only for messages. The error joins all errors
// of the file, each a *keys.Error with its line; none contains anything of a hash, which may be a password.
func ParseUsers(file string, data []byte) (Users, error) {
	errs := &keys.Errors{File: file}
	users, lines, number := Users{}, map[string]int{}, 0
	for text := range bytes.Lines(data) {
		number++
		line := strings.TrimRight(string(text), "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hash, found := strings.Cut(line, ":")
		problem := checkUser(name, hash, found)
		if before, twice := lines[name]; twice && problem == "" {
			problem = fmt.Sprintf("is already in line %d", before)
		}
		if problem != "" {
			errs.Add(number, 0, keys.Quote(name), "%s", problem)
			continue
		}
		users[name], lines[name] = hash, number
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("%s: has no user: htpasswd -B %s NAME", file, file)
	}
	return users, nil
}

// checkUser returns what is wrong with a user, "" if nothing is.
func checkUser(name, hash string, found bool) string {
	const remedy = "htpasswd -B FILE NAME writes one of bcrypt"
	if !found {
		return "a line must be NAME:HASH, as htpasswd -B writes it"
	}
	if err := CheckName(name); err != nil {
		return err.Error()
	}
	if kind := otherHash(hash); kind != "" {
		return fmt.Sprintf("the hash is one of %s, which is guessed too fast: %s", kind, remedy)
	}
	m := bcryptPattern.FindStringSubmatch(hash)
	if m == nil {
		return "the password must be a hash of bcrypt, $2y$…: " + remedy
	}
	if cost, err := strconv.Atoi(m[1]); err != nil || cost < 4 || cost > maxCost {
		return fmt.Sprintf("the hash has the cost %s, and 4 to %d are allowed: htpasswd -B -C 10", m[1], maxCost)
	}
	return ""
}

// otherHash names the kind of a hash that is not of bcrypt, "" if it is not known.
func otherHash(hash string) string {
	for prefix, kind := range map[string]string{
		"$apr1$": "MD5", "$1$": "MD5", "{SHA}": "SHA-1", "{SSHA}": "SHA-1", "$5$": "SHA-256", "$6$": "SHA-512",
	} {
		if strings.HasPrefix(hash, prefix) {
			return kind
		}
	}
	return ""
}

// CheckName returns what is wrong with the name of a user or of a token, which the app gets in a header.
func CheckName(name string) error {
	wrong := func(r rune) bool { return !unicode.IsPrint(r) || r == ':' || r > unicode.MaxASCII }
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, wrong) || strings.TrimSpace(name) != name {
		return fmt.Errorf("a name must have 1 to %d printable characters of ASCII and no colon", maxName)
	}
	return nil
}

// ReadUsers reads the users of a revision.
func ReadUsers(paths platform.Paths, id platform.RevisionID) (Users, error) {
	data, err := os.ReadFile(paths.Users(id))
	if err != nil {
		return nil, fmt.Errorf("read the users of %s: %w", id, err)
	}
	return ParseUsers(paths.Users(id), data)
}
