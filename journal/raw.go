package journal

import "encoding/json"

// Raw is a field of an entry as it was written, of any bytes, if journalctl was called with --all. Of one that occurs twice it is the
// last: unlike Text, it is for what is shown, and not for what is believed.
type Raw string

// UnmarshalJSON implements json.Unmarshaler: journalctl writes what is no text as an array of bytes, and several of one name as an
// array of those.
func (r *Raw) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*r = Raw(text)
		return nil
	}
	var bytes []byte
	if json.Unmarshal(data, &bytes) == nil {
		*r = Raw(bytes)
		return nil
	}
	var several []Raw
	err := json.Unmarshal(data, &several)
	if err == nil && len(several) > 0 {
		*r = several[len(several)-1]
	}
	return err
}
