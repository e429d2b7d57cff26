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

// formatInternet is that of the revision.json of a revision with network: internet, which an older version would give all of the network.
const formatInternet = 2

// formatAdmission is that of the route.json and the revision.json of what not everybody may come in to, which an older version would let
// everybody.
const formatAdmission = 3

// newest is the highest format that this version knows.
const newest = formatAdmission

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

// formatOf is the number of the form in which a revision is written.
func formatOf(rev Revision) int {
	switch {
	case !rev.Config.Admission.isZero():
		return formatAdmission
	case rev.Config.Network == NetworkInternet:
		return formatInternet
	}
	return format
}

// formatOfRoute is the number of the form in which a route is written.
func formatOfRoute(route Route) int {
	if route.Admission != nil {
		return formatAdmission
	}
	return format
}

// ReadFormed reads a file of JSON of a form that this version knows, which are those up to a number. The error wraps fs.ErrNotExist if there
// is none, and ErrNewer if a later version wrote it.
func ReadFormed(path string, known int, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if h.Format > known {
		return fmt.Errorf("read %s: %w: it has format %d, and this one knows %d", path, ErrNewer, h.Format, known)
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
