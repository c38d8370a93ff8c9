package resource

import (
	"fmt"
	"strings"

	"causeway/internal/snapshot"
)

// HealthCheck is how endpoints are asked whether they live: the snapshot's own
// form of it, as users may set every field.
type HealthCheck = snapshot.HealthCheck

// healthCheck puts what the snapshot's rules say of h in terms of this resource.
func (j *judge) healthCheck(path string, h HealthCheck) {
	for _, p := range h.Check() {
		if !strings.HasPrefix(p.Path, "[") {
			p.Path = fmt.Sprintf("%s.%s", path, p.Path)
		}
		j.found = append(j.found, p)
	}
}
