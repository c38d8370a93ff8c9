package livereport

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	labreport "causeway/internal/lab/report"
)

// Formats are the forms that Render knows, also as the suffixes of files.
var Formats = []string{"html", "svg", "png", "json", "csv", "txt"}

// FormatOf is the form that a file's name asks for.
func FormatOf(file string) (string, error) {
	f := strings.TrimPrefix(strings.ToLower(filepath.Ext(file)), ".")
	if f == "pdf" {
		return "", fmt.Errorf("%s: a report is not written as PDF; write .html, which prints to A4 as it is", file)
	}
	if !slices.Contains(Formats, f) {
		return "", fmt.Errorf("%s: its ending says no form of a report; allowed: .%s", file, strings.Join(Formats, ", ."))
	}
	return f, nil
}

// Render writes the report in one of Formats.
func Render(d labreport.Data, format string) ([]byte, error) {
	switch format {
	case "html":
		return labreport.HTML(d)
	case "svg":
		return labreport.SVG(d)
	case "png":
		return labreport.PNG(d)
	case "json":
		return labreport.JSON(d)
	case "csv":
		return csvOf(d)
	case "txt":
		var b bytes.Buffer
		err := labreport.Table(&b, d, 100, false)
		return b.Bytes(), err
	}
	return nil, fmt.Errorf("there is no form %q; allowed: %s", format, strings.Join(Formats, ", "))
}

// csvOf has a line for each ping: when, on which way, and how long it took,
// nothing being lost.
func csvOf(d labreport.Data) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"time", "way", "rtt_ms"})
	for _, s := range []struct {
		name string
		labreport.Side
	}{{"direct", d.Direct}, {"accelerated", d.Accelerated}} {
		for _, p := range s.Series {
			rtt := ""
			if p.RTTMs != nil {
				rtt = strconv.FormatFloat(*p.RTTMs, 'f', 3, 64)
			}
			at := d.Started.Add(time.Duration(p.TMs * float64(time.Millisecond)))
			_ = w.Write([]string{at.UTC().Format("2006-01-02T15:04:05.000Z"), s.name, rtt})
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}
