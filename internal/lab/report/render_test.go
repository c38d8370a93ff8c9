package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"causeway/internal/lab/report/draw"
	"causeway/internal/wholefile"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with testdata/name. A change is meant to be looked at:
// run with -update, then read the diff.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what is rendered; run `go test -update` and look at the diff", path)
	}
}

func TestTable(t *testing.T) {
	for name, d := range samples() {
		t.Run(name, func(t *testing.T) {
			for _, width := range []int{40, 80, 100, 170} {
				var b bytes.Buffer
				if err := Table(&b, d, width, false); err != nil {
					t.Fatal(err)
				}
				for l := range strings.Lines(b.String()) {
					if n := columns(strings.TrimRight(l, "\n")); n > max(width, 80) {
						t.Errorf("at width %d a line has %d columns: %q", width, n, l)
					}
				}
				if bytes.ContainsRune(b.Bytes(), 0x1b) {
					t.Error("an escape sequence without colour")
				}
				if width == 100 {
					golden(t, "table-"+name+".txt", b.Bytes())
				}
				if width == 170 && name == "good" {
					golden(t, "table-wide.txt", b.Bytes())
				}
			}
		})
	}
	t.Run("colour changes no text", func(t *testing.T) {
		var with, without bytes.Buffer
		d := samples()["busy"]
		if err := errors.Join(Table(&with, d, 100, true), Table(&without, d, 100, false)); err != nil {
			t.Fatal(err)
		}
		golden(t, "table-colour.txt", with.Bytes())
		stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAll(with.Bytes(), nil)
		if !bytes.Equal(stripped, without.Bytes()) {
			t.Error("with colour the text is another")
		}
	})
}

func TestJSON(t *testing.T) {
	raw, err := JSON(sample(5, 200))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", raw)
	for name, d := range samples() {
		t.Run(name, func(t *testing.T) {
			raw, err := JSON(d)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			twice, err := JSON(again)
			if err != nil || !bytes.Equal(raw, twice) {
				t.Errorf("reading and writing changed it (%v)", err)
			}
			// What scripts rely on is there and never null, whatever happened.
			var loose map[string]any
			if err := json.Unmarshal(raw, &loose); err != nil {
				t.Fatal(err)
			}
			for _, side := range []string{"direct", "accelerated"} {
				fields := loose[side].(map[string]any)
				for _, f := range []string{"sent", "received", "loss", "valid", "series", "hops", "loss_runs"} {
					if fields[f] == nil {
						t.Errorf("%s.%s is null or missing", side, f)
					}
				}
				if _, ok := fields["rtt_ms"]; !ok {
					t.Errorf("%s.rtt_ms is missing", side)
				}
			}
			if loose["valid"].(bool) != d.Valid {
				t.Errorf("valid is %v", loose["valid"])
			}
		})
	}
}

func TestJSONIsLaidOutWithOneProbeALine(t *testing.T) {
	in := `{"a":{"b":[{"t":1,"s":"x,{[\"]}:"},{"t":2}],"e":[],"o":{}},"n":null}`
	got := indentTo([]byte(in), 3)
	want := "{\n  \"a\": {\n    \"b\": [\n      {\"t\": 1, \"s\": \"x,{[\\\"]}:\"},\n      {\"t\": 2}\n    ],\n    \"e\": [],\n    \"o\": {}\n  },\n  \"n\": null\n}"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHTML(t *testing.T) {
	for name, d := range samples() {
		t.Run(name, func(t *testing.T) {
			b, err := HTML(d)
			if err != nil {
				t.Fatal(err)
			}
			s := string(b)
			if strings.Contains(s, "<script>alert") {
				t.Error("the scenario's name became markup")
			}
			if strings.Contains(s, "ZgotmplZ") || strings.Contains(s, "NaN") || strings.Contains(s, "+Inf") {
				t.Error("something was not printable where it stands")
			}
			for _, m := range regexp.MustCompile(`(?:https?:)?//[^"'\s<]+`).FindAllString(s, -1) {
				if m != "http://www.w3.org/2000/svg" && strings.HasPrefix(m, "http") {
					t.Errorf("the page refers to %s", m)
				}
			}
			if invalid := strings.Contains(s, "does not count"); invalid == d.Valid {
				t.Errorf("valid %v, banner %v", d.Valid, invalid)
			}
			for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(s, -1) {
				wellFormed(t, []byte(svg))
			}
		})
	}
	b, err := HTML(sample(20, 200))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.html", b)
}

func TestSVG(t *testing.T) {
	for name, d := range samples() {
		b, err := SVG(d)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, b)
		if bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
			t.Errorf("%s: a coordinate is not a number", name)
		}
	}
	b, err := SVG(sample(20, 200))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.svg", b)
}

func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := dec.Token(); err != nil {
			if err != io.EOF {
				t.Errorf("not well-formed: %v", err)
			}
			return
		}
	}
}

// The golden picture is compared by eye's measure: floating point may round
// differently on another processor.
func TestPNG(t *testing.T) {
	b, err := picture(prepared(sample(120, 200))).PNG(draw.Light, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "report.png")
	if *update {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, want := decode(t, b), decode(t, raw)
	if got.Bounds() != want.Bounds() {
		t.Fatalf("%v, want %v", got.Bounds(), want.Bounds())
	}
	different := 0
	for y := range got.Bounds().Dy() {
		for x := range got.Bounds().Dx() {
			r1, g1, b1, _ := got.At(x, y).RGBA()
			r2, g2, b2, _ := want.At(x, y).RGBA()
			if far(r1, r2) || far(g1, g2) || far(b1, b2) {
				different++
			}
		}
	}
	if different > 20 {
		t.Errorf("%d pixels differ from %s", different, path)
	}
}

func far(a, b uint32) bool { return max(a, b)-min(a, b) > 0x0800 }

func decode(t *testing.T, b []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Every sample can be drawn, at a size that costs the test little.
func TestEveryPictureDraws(t *testing.T) {
	for name, d := range samples() {
		b, err := picture(prepared(d)).PNG(draw.Dark, 0.25)
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "run-1")
	p, err := Write(dir, sample(10, 100))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{p.JSON, p.HTML, p.SVG, p.PNG, p.Table} {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if err := wholefile.Write(p.JSON, []byte("newer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(p.JSON); string(raw) != "newer" {
		t.Errorf("after writing over it the file holds %d bytes (%v)", len(raw), err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 5 {
		t.Errorf("%d files in the folder, want 5 (%v)", len(left), err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(file, Data{}); err == nil {
		t.Error("writing into a file as if it were a folder went well")
	}
}

func TestTerminalOfAFileIsPlain(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if width, color := Terminal(f); width != 100 || color {
		t.Errorf("width %d, colour %v", width, color)
	}
}

// An invalid run makes neither side's numbers quotable.
func TestPreparedPassesInvalidityOnAndKeepsTheCallersData(t *testing.T) {
	d := samples()["busy"]
	p := prepared(d)
	if p.Direct.Valid || p.Accelerated.Valid {
		t.Error("a side of an invalid run is valid")
	}
	if !d.Direct.Valid || d.Schema != 0 {
		t.Error("the caller's data changed")
	}
}

// FuzzRender renders whatever parses: no report may panic or hang, since a run
// that went wrong is when one is read most closely.
func FuzzRender(f *testing.F) {
	for _, d := range []Data{sample(3, 100), {}, samples()["no-replies"]} {
		raw, err := JSON(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"direct":{"sent":-5,"received":9,"series":[{"t_ms":-1e300,"rtt_ms":1e308},{"t_ms":1e300}]},"duration_s":1e300,"events":[{"t_ms":-1,"end_ms":1e308}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Parse(raw)
		if err != nil {
			return
		}
		if err := Table(io.Discard, d, 90, true); err != nil {
			t.Fatal(err)
		}
		page, err := HTML(d)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(page, []byte(`"NaN`)) {
			t.Error("NaN in the page")
		}
		pic, err := SVG(d)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, pic)
		if _, err := JSON(d); err != nil {
			t.Fatal(err)
		}
	})
}
