// Package scenarios holds the lab scenarios that are built into the program,
// one YAML file each; docs/lab.md says what may stand in them.
package scenarios

import "embed"

// FS holds NAME.yaml for each scenario.
//
//go:embed *.yaml
var FS embed.FS
