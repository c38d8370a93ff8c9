package resource

import (
	"fmt"
	"maps"
	"slices"
)

// Bounds of a resource's tags.
const (
	MaxTags     = 20
	MaxTagKey   = 64  // characters
	MaxTagValue = 128 // characters
)

func (j *judge) tags(tags map[string]string) {
	if len(tags) > MaxTags {
		j.refuse("tags", len(tags), fmt.Sprintf("at most %d", MaxTags), "remove some")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		at := "tags." + clip(key)
		if key == "" {
			j.missing("tags", "a key for each tag", "")
		}
		j.text(at, key, MaxTagKey)
		j.text(at, tags[key], MaxTagValue)
	}
}
