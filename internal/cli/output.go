package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Format is what -o says.
type Format struct {
	chosen  string
	allowed []string
}

// OutputFlag adds -o to c. The first of the formats is the default.
func OutputFlag(c *cobra.Command, formats ...string) *Format {
	f := &Format{chosen: formats[0], allowed: formats}
	c.Flags().VarP(f, "output", "o", "one of "+strings.Join(formats, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return f
}

// Is reports whether format was chosen.
func (f *Format) Is(format string) bool { return f.chosen == format }

// String, Set and Type make it a flag.
func (f *Format) String() string { return f.chosen }

// Set refuses what is not allowed.
func (f *Format) Set(s string) error {
	if !slices.Contains(f.allowed, s) {
		return fmt.Errorf("allowed: %s", strings.Join(f.allowed, ", "))
	}
	f.chosen = s
	return nil
}

// Type is what help shows for the value.
func (f *Format) Type() string { return "format" }

// PrintJSON writes v to w, indented.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Colour reports whether colours may be written to w: it is a terminal, and
// nobody asked for none (https://no-color.org).
func Colour(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
