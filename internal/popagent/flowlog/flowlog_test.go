package flowlog

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"causeway/internal/report"
)

func record(n int) report.Flow {
	return report.Flow{
		Event: "end", Reason: "idle", Session: "0123456789abcdef", PoP: "sh1", Accelerator: "office", Listener: "vpn",
		Client: netip.MustParseAddrPort("198.18.1.2:4500"), Accelerated: netip.MustParseAddrPort("203.0.113.10:4500"),
		Start: time.Unix(1_700_000_000, 0).UTC(), End: time.Unix(1_700_000_060, 0).UTC(), ToEndpoint: report.Counter{Packets: uint64(n), Bytes: 100},
	}
}

// write runs a Writer over records from, … to-1.
func write(c Config, from, to int) *Writer {
	w := New(c)
	records, stop := make(chan report.Flow, to-from), make(chan struct{})
	for n := from; n < to; n++ {
		records <- record(n)
	}
	close(stop)
	w.Run(records, stop)
	return w
}

// read returns the numbers in a file.
func read(t *testing.T, file string) (numbers []int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r report.Flow
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Logf("%s: %q: %v", file, lines.Text(), err)
			continue
		}
		if want := record(int(r.ToEndpoint.Packets)); r != want {
			t.Errorf("read %+v, want %+v", r, want)
		}
		numbers = append(numbers, int(r.ToEndpoint.Packets))
	}
	return numbers
}

func TestFilesAreBoundedAndTheOldestGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "flow-logs")
	one, err := json.Marshal(record(10))
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Dir: dir, Bytes: int64(5*len(one) + 10), Files: 3}
	w := write(c, 10, 30) // 20 records, 5 a file: 4 files, of which 3 are kept
	if n, lost := w.Counts(); n != 20 || lost != 0 {
		t.Errorf("%d written, %d lost", n, lost)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d files: %v", len(entries), err)
	}
	next := 15
	for _, name := range []string{Name + ".2", Name + ".1", Name} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > c.Bytes || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		for _, n := range read(t, filepath.Join(dir, name)) {
			if n != next {
				t.Fatalf("%s has record %d, want %d", name, n, next)
			}
			next++
		}
	}
	if next != 30 {
		t.Errorf("the last record is %d", next-1)
	}
}

func TestANewProcessGoesOnWithTheFile(t *testing.T) {
	dir := t.TempDir()
	write(Config{Dir: dir}, 0, 3)
	f, err := os.OpenFile(filepath.Join(dir, Name), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"event":"en`); err != nil { // cut by a crash
		t.Fatal(err)
	}
	f.Close()
	write(Config{Dir: dir}, 3, 6)
	if got := read(t, filepath.Join(dir, Name)); len(got) != 6 || got[5] != 5 {
		t.Errorf("read %v", got)
	}
}

func TestADiskThatRefusesCostsRecordsOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	w := New(Config{Dir: dir, retry: time.Nanosecond})
	w.write(new(record(1)))
	w.write(new(record(2)))
	if n, lost := w.Counts(); n != 0 || lost != 2 {
		t.Errorf("%d written, %d lost", n, lost)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	w.write(new(record(3)))
	w.close()
	if n, lost := w.Counts(); n != 1 || lost != 2 {
		t.Errorf("%d written, %d lost after the disk came back", n, lost)
	}
	if got := read(t, filepath.Join(dir, Name)); len(got) != 1 || got[0] != 3 {
		t.Errorf("read %v", got)
	}
}

func TestNothingIsMadeWithoutARecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "flow-logs")
	write(Config{Dir: dir}, 0, 0)
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made")
	}
}
