// Package keys reads files of keys and values, such as jcloud.yml and fnctl.yml, by a table of the keys. The same table
// yields the JSON Schema of the file and its manual. The package knows nothing of what the keys are about.
//
//   - A Table has the keys of a file. A Key has a path, such as autoscale.min: a section and a name.
//   - A Kind is a set of values that a key may have: an Integer, Seconds, an Enum, a List, …
//   - A Value is a kind that is bound to a variable, as a flag.Value is: the key of a table binds one to a field of T.
//   - A Node is a value in a file and its place, to which errors are reported.
//   - A Record is a mapping that was read by a table: the values, and where they are written.
//   - An Error is one thing that is wrong in a file, with its line and column. All of them are reported together.
//
// YAML is read strictly: one document of UTF-8, without merge keys, duplicate keys and tags of other types. A hostile file
// can neither grow by its aliases nor make many errors.
package keys
