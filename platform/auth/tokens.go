package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// TokenPrefix is what every token begins with, so that it is known for one where it leaks.
const TokenPrefix = "fnctl_"

// Token is what is kept of a token of a function: nobody can make the token of it.
type Token struct {
	Label string `json:"label"`
	// Hash is the SHA-256 of the token, in hexadecimal digits. A token is random, so that there is nothing to guess.
	Hash    string    `json:"sha256"`
	Created time.Time `json:"created"`
	// Expires is zero for a token that does not.
	Expires time.Time `json:"expires,omitzero"`
}

// NewToken makes a token of 256 random bits. Its text is not kept.
func NewToken(label string, created, expires time.Time) (text string, token Token, err error) {
	if err := CheckName(label); err != nil {
		return "", Token{}, err
	}
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	text = TokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	hash := sha256.Sum256([]byte(text))
	return text, Token{Label: label, Hash: hex.EncodeToString(hash[:]), Created: created, Expires: expires}, nil
}

// Sum is the hash as bytes.
func (t Token) Sum() (sum [sha256.Size]byte, err error) {
	n, err := hex.Decode(sum[:], []byte(t.Hash[:min(len(t.Hash), hex.EncodedLen(len(sum)))]))
	if err == nil && (n < len(sum) || len(t.Hash) != hex.EncodedLen(len(sum))) {
		err = errors.New("the hash is too short, or too long")
	}
	return sum, err
}

// Expired reports whether the token is not valid any more.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// tokensFormat is the number of the form of a file of tokens.
const tokensFormat = 1

type tokensFile struct {
	Format int     `json:"format"`
	Tokens []Token `json:"tokens"`
}

// ReadTokens reads the tokens of a function, by label. It may have none.
func ReadTokens(paths platform.Paths, function string) ([]Token, error) {
	path := paths.Tokens(function)
	var file tokensFile
	switch err := platform.ReadFormed(path, tokensFormat, &file); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("tokens of %s: %w", function, err)
	}
	for _, token := range file.Tokens {
		if _, err := token.Sum(); err != nil {
			return nil, fmt.Errorf("read %s: token %q: %w", path, platform.Clip(token.Label), err)
		}
	}
	return file.Tokens, nil
}

// WriteTokens replaces the tokens of a function.
func WriteTokens(paths platform.Paths, function string, tokens []Token) error {
	slices.SortFunc(tokens, func(a, b Token) int { return strings.Compare(a.Label, b.Label) })
	data, err := json.MarshalIndent(tokensFile{tokensFormat, tokens}, "", "  ")
	if err != nil {
		return err
	}
	return platform.WriteForGateway(paths.Tokens(function), append(data, '\n'))
}
