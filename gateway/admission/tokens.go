package admission

import (
	"bytes"
	"crypto/sha256"
	"time"

	"github.com/fnctl/fnctl/platform/auth"
)

// tokenBook are the tokens of a function by their hashes. What is looked up is a hash, too, so that how long that takes says
// nothing of a token.
type tokenBook map[[sha256.Size]byte]auth.Token

func newTokenBook(tokens []auth.Token) (tokenBook, error) {
	book := make(tokenBook, len(tokens))
	for _, token := range tokens {
		sum, err := token.Sum()
		if err != nil {
			return nil, err
		}
		book[sum] = token
	}
	return book, nil
}

// verify returns whose token it is. One that is valid is never held up by wrong ones of its address: there is nothing to guess.
func (b tokenBook) verify(g *Guard, r *Request, text []byte, now time.Time) (label string, denied *Denial) {
	token, is := b[sha256.Sum256(text)]
	switch wait := g.tokens.delay(r.Addr, now); {
	case is && !token.Expired(now):
		return token.Label, nil
	case is: // who has it has not guessed
	case wait > 0:
		return "", tooManyGuesses(wait)
	default:
		g.tokens.wrong(r.Addr, now)
	}
	return "", wrongCredentials()
}

// isToken reports whether credentials are a token of this platform.
func isToken(text []byte) bool { return bytes.HasPrefix(text, []byte(auth.TokenPrefix)) }
