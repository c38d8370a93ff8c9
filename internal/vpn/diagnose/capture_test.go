package diagnose

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var capture = flag.Bool("capture", false, "make every fault with real daemons and write their logs to testdata")

// TestCapture writes testdata: the logs of real daemons in trouble.
func TestCapture(t *testing.T) {
	if !*capture {
		t.Skip("logs are captured on request: -capture")
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			a, b := play(t, f)
			for end, log := range map[string]string{"near": a, "far": b} {
				path := filepath.Join("testdata", f.name, end+".log")
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(log), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
