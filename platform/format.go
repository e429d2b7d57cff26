package platform

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// format is the number of the form in which route.json, revision.json and scale.json are written. Files without one have this form,
// too. A change of which an older version would make something else than it says makes the number larger; a key more, without which
// all is as before, does not.
const format = 1

// ErrNewer is wrapped by errors about a file of a form that this version does not know: a later one has written it.
var ErrNewer = errors.New("a later version of fnctl has written it")

// header is what each of these files begins with.
type header struct {
	Format int `json:"format"`
}

// The forms of the files.
type (
	routeFile struct {
		header
		Route
	}
	revisionFile struct {
		header
		Revision
	}
	scaleFile struct {
		header
		Scale
	}
)

// readFormed reads a file of a form that this version knows.
func readFormed(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if h.Format > format {
		return fmt.Errorf("read %s: %w: it has format %d, and this one knows %d", path, ErrNewer, h.Format, format)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// WithRouteHint adds to the error of a route that cannot be read what the user could do about it.
func WithRouteHint(err error, function string) error {
	if errors.Is(err, ErrNewer) {
		return WithHint(err, "install the later version of fnctl again")
	}
	return WithHint(err, "deploy %s again to write a new one", function)
}
