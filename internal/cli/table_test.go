package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	table := NewTable("NAME", ">BYTES", "STATE")
	table.Row("a", 5, Cell{"up", Good})
	table.Row("größer", 12345, Cell{"down", Bad})
	table.Row("c")
	const want = `NAME    BYTES  STATE
a           5  up
größer  12345  down
c           -  -
`
	var b strings.Builder
	if err := table.Write(&b, false); err != nil || b.String() != want {
		t.Errorf("%v, got\n%s", err, b.String())
	}
	// Colours change nothing but colours: without their codes, it is the same table.
	b.Reset()
	if err := table.Write(&b, true); err != nil {
		t.Fatal(err)
	}
	bare := b.String()
	for _, code := range []string{"\x1b[0m", ansi[Good], ansi[Bad], ansi[Faint]} {
		if !strings.Contains(bare, code) {
			t.Errorf("%q is not used", code)
		}
		bare = strings.ReplaceAll(bare, code, "")
	}
	if bare != want {
		t.Errorf("in colour:\n%s", bare)
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		Bytes(0): "0 B", Bytes(999): "999 B", Bytes(1000): "1.00 kB", Bytes(9994): "9.99 kB", Bytes(9996): "10.0 kB", Bytes(99949): "99.9 kB",
		Bytes(999_499): "999 kB", Bytes(999_500): "1.00 MB", Bytes(1 << 63): "9.22 EB",
		Count(0): "0", Count(9999): "9999", Count(10000): "10.0 k", Count(1_234_567): "1.23 M",
		Ratio(0): "0 %", Ratio(0.0000042): "0.000 %", Ratio(0.00042): "0.042 %", Ratio(0.0123): "1.23 %", Ratio(0.5): "50.0 %", Ratio(1): "100.0 %",
		Milliseconds(0): "-", Milliseconds(31.26): "31.3 ms",
		Span(-time.Second): "0s", Span(0): "0s", Span(12 * time.Millisecond): "12ms", Span(1500 * time.Millisecond): "1.5s", Span(45 * time.Second): "45s",
		Span(3*time.Hour + 12*time.Minute): "3h12m", Span(47 * time.Hour): "47h0m", Span(52 * time.Hour): "2d4h", Seconds(90): "1m30s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open("/dev/null") // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if Colour(file) || Colour(new(strings.Builder)) || !Colour(null) {
		t.Error("a file is taken for a terminal, or a terminal for a file")
	}
	t.Setenv("NO_COLOR", "1")
	if Colour(null) {
		t.Error("NO_COLOR is not heeded")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if Colour(null) {
		t.Error("a dumb terminal is given colours")
	}
}
