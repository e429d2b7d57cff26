package platform

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// TrafficShare is the part of a function's requests that a revision gets, with all that the gateway must know of it.
type TrafficShare struct {
	Revision RevisionID `json:"revision" route:"revision"`
	Percent  int        `json:"percent" route:"percent"`
	Timeouts
	Limits
	// Protocol is the protocol of the app; "" means HTTP1.
	Protocol Protocol `json:"protocol,omitempty" route:"protocol,omitempty"`
	// Workers is the number of processes that take connections in each instance; 0: one, or it is not known.
	Workers int `json:"workers,omitempty" route:"workers,omitempty"`
}

// shareOf is the share of a revision.
func shareOf(rev Revision, percent int) TrafficShare {
	share := TrafficShare{
		Revision: rev.ID, Percent: percent,
		Timeouts: rev.Config.Timeouts, Limits: rev.Config.Limits, Protocol: rev.Config.Protocol,
	}
	if rev.Config.Workers > 1 {
		share.Workers = rev.Config.Workers
	}
	return share
}

// check returns which part of a share is out of range, by the name of its key in jcloud.yml.
func (s TrafficShare) check() error {
	share := reflect.ValueOf(s)
	for _, field := range shareFields {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		value := share.FieldByIndex(field.Index)
		if value.CanInt() && (value.Int() < 0 || name == "timeout" && value.Int() == 0) {
			return fmt.Errorf("%s is out of range", name)
		}
	}
	if s.Protocol != "" && !slices.Contains(protocols, s.Protocol) {
		return fmt.Errorf("protocol is out of range")
	}
	return nil
}

// shareFields are the fields of a share, those of its embedded structs in their place.
var shareFields = slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[TrafficShare]()), func(field reflect.StructField) bool {
	return field.Anonymous
})

// shareJSON is the type of a share in route.json: a struct of shareFields, named by their tags `route`, in which a
// Duration is a number of seconds.
var shareJSON = shareJSONType()

func shareJSONType() reflect.Type {
	fields := make([]reflect.StructField, len(shareFields))
	for i, field := range shareFields {
		fields[i] = reflect.StructField{Name: field.Name, Type: field.Type, Tag: reflect.StructTag(`json:"` + field.Tag.Get("route") + `"`)}
		if field.Type == reflect.TypeFor[Duration]() {
			fields[i].Type = reflect.TypeFor[seconds]()
		}
	}
	return reflect.StructOf(fields)
}

// MarshalJSON writes the share as route.json has it.
func (s TrafficShare) MarshalJSON() ([]byte, error) {
	share, encoded := reflect.ValueOf(s), reflect.New(shareJSON).Elem()
	for i, field := range shareFields {
		encoded.Field(i).Set(share.FieldByIndex(field.Index).Convert(encoded.Field(i).Type()))
	}
	return json.Marshal(encoded.Interface())
}

// UnmarshalJSON reads what MarshalJSON writes, and what older versions wrote: what they didn't know has its default.
func (s *TrafficShare) UnmarshalJSON(data []byte) error {
	decoded := reflect.New(shareJSON)
	if err := json.Unmarshal(data, decoded.Interface()); err != nil {
		return err
	}
	share := reflect.ValueOf(s).Elem()
	for i, field := range shareFields {
		share.FieldByIndex(field.Index).Set(decoded.Elem().Field(i).Convert(field.Type))
	}
	s.setDefaults()
	return nil
}
