// Package strictyaml reads a YAML or JSON file into plain structs and refuses
// whatever it does not fully understand: unknown and repeated fields, values of
// the wrong type, numbers that do not fit, aliases that lead nowhere. It goes on
// after a mistake, so that a person sees all of them at once, and shows each
// with its file, line and column, the line itself and a caret.
//
// Decode fills a value; Locate adds the same file positions to what a validator
// found wrong later. What values mean is the validator's business, not ours.
//
// The package is the one door to goccy/go-yaml: the library splits the text
// into a tree, all typing rules are here. They are those of YAML 1.2's core
// schema, narrowed: text that looks like a number must be quoted where text is
// wanted, a quoted number is no number, durations carry a unit ("300s"), and
// there are no merge keys and no tags.
package strictyaml
