//go:build mandocs

package main

import (
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra/doc"
)

// Packages are built with this command added, which writes the man pages; the
// product does without, and without what it links.
func init() {
	extra = append(extra, &command{
		Use: "man DIR", Hidden: true, Short: "Write the man pages to a folder", Example: "  causeway man out/man",
		RunE: func(c *command, args []string) error {
			date := time.Unix(0, 0)
			if s, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
				date = time.Unix(s, 0)
			}
			c.Root().DisableAutoGenTag = true
			return doc.GenManTree(c.Root(), &doc.GenManHeader{Section: "1", Source: "Causeway " + build().Version, Manual: "Causeway", Date: &date}, args[0])
		},
	})
}
