package wire

const (
	statusBadRequest          = 400
	statusFieldsTooLarge      = 431
	statusNotImplemented      = 501
	statusVersionNotSupported = 505
)

// Error is what is wrong with a message.
type Error struct {
	Status int // of the answer to such a request
	Text   string
}

func (e *Error) Error() string { return e.Text }

func bad(text string) error { return &Error{Status: statusBadRequest, Text: text} }
