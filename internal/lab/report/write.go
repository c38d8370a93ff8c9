package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"causeway/internal/wholefile"
)

// Paths says where Write put each file.
type Paths struct {
	JSON  string `json:"json"`
	HTML  string `json:"html"`
	SVG   string `json:"svg"`
	PNG   string `json:"png"`
	Table string `json:"table"` // the terminal's table, 100 columns, no colour
}

// Write renders d in every form into dir, which it makes when it is missing.
// Each file is complete or absent: it is written beside its name, synced, and
// renamed over what was there.
func Write(dir string, d Data) (Paths, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Paths{}, fmt.Errorf("write report: %w", err)
	}
	p := Paths{
		JSON:  filepath.Join(dir, "report.json"),
		HTML:  filepath.Join(dir, "report.html"),
		SVG:   filepath.Join(dir, "report.svg"),
		PNG:   filepath.Join(dir, "report.png"),
		Table: filepath.Join(dir, "report.txt"),
	}
	for _, f := range []struct {
		path   string
		render func(Data) ([]byte, error)
	}{
		{p.JSON, JSON},
		{p.HTML, HTML},
		{p.SVG, SVG},
		{p.PNG, PNG},
		{p.Table, plainTable},
	} {
		content, err := f.render(d)
		if err != nil {
			return p, fmt.Errorf("render %s: %w", filepath.Base(f.path), err)
		}
		if err := wholefile.Write(f.path, content, 0o644); err != nil {
			return p, fmt.Errorf("write report: %w", err)
		}
	}
	return p, nil
}

func plainTable(d Data) ([]byte, error) {
	var b bytes.Buffer
	err := Table(&b, d, 100, false)
	return b.Bytes(), err
}
