package diagnose

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/vpn"
)

// first is the code that a diagnosis begins with.
func first(f []vpn.Finding) vpn.Code {
	if len(f) == 0 {
		return ""
	}
	return f[0].Code
}

func TestEveryFaultOfRealDaemonsIsNamed(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			near, far := f.ends()
			var foundA, foundB []vpn.Finding
			for _, end := range []struct {
				name  string
				c     vpn.Connection
				want  vpn.Code
				found *[]vpn.Finding
			}{{"near", near, f.a, &foundA}, {"far", far, f.b, &foundB}} {
				b, err := os.ReadFile(filepath.Join("testdata", f.name, end.name+".log"))
				if err != nil {
					t.Fatal(err)
				}
				*end.found = Log(lines(string(b)), end.c)
				if end.want != "" && first(*end.found) != end.want {
					t.Errorf("%s: got %+v, want %s", end.name, *end.found, end.want)
				}
				for _, x := range *end.found {
					if x.Text == "" || x.Fix == "" || x.Source == "" || x.At.IsZero() || x.Tunnel != "seoul" || x.Severity == "" {
						t.Errorf("%s: incomplete: %+v", end.name, x)
					}
				}
			}
			if f.local != "" && (foundB == nil || foundB[0].Local != f.local || foundB[0].Remote != f.rem) && (foundA == nil || foundA[0].Local != f.local || foundA[0].Remote != f.rem) {
				t.Errorf("the values that differ are %s and %s; got %+v and %+v", f.local, f.rem, foundA, foundB)
			}
		})
	}
}

func TestOnlyWhatDiffersIsSaidToDiffer(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "esp-encryption", "far.log"))
	if err != nil {
		t.Fatal(err)
	}
	_, far := pairOf()
	far.Tunnels[0].ESP.Proposals[0].Encryption = "aes128"
	if f := Log(lines(string(b)), far); len(f) != 1 || f[0].Text != "The ends have no encryption algorithm in common." || f[0].Field != "tunnels[0].esp.proposals" {
		t.Errorf("got %+v", f)
	}
}

func TestBothEndsTogetherNameTheCause(t *testing.T) {
	for _, f := range faults {
		if f.b == "" || f.b == vpn.NoExceptionFound {
			continue
		}
		var logs [2][]vpn.Finding
		near, far := f.ends()
		for i, end := range []string{"near", "far"} {
			b, err := os.ReadFile(filepath.Join("testdata", f.name, end+".log"))
			if err != nil {
				t.Fatal(err)
			}
			logs[i] = Log(lines(string(b)), []vpn.Connection{near, far}[i])
		}
		merged := Merge(logs[0], logs[1])
		found := false
		for _, x := range merged {
			found = found || x.Code == f.b
		}
		if !found {
			t.Errorf("%s: %s is missing in %+v", f.name, f.b, merged)
		}
	}
}

// TestOneFaultLive makes one fault with daemons that run now, so that the logs
// in testdata are not all there is to believe in.
func TestOneFaultLive(t *testing.T) {
	for _, f := range faults {
		if f.name != "ike-encryption" {
			continue
		}
		a, b := play(t, f)
		near, far := f.ends()
		if got := Log(lines(a), near); first(got) != f.a {
			t.Errorf("near: got %+v, want %s", got, f.a)
		}
		if got := Log(lines(b), far); first(got) != f.b || got[0].Local != f.local || got[0].Remote != f.rem {
			t.Errorf("far: got %+v, want %s: %s and %s", got, f.b, f.local, f.rem)
		}
	}
}

func TestLinesOfOthersArePassedOver(t *testing.T) {
	near, _ := pairOf()
	other := []Line{
		{Tunnel: "tokyo", Text: "received AUTHENTICATION_FAILED notify error"},
		{Text: "parsed IKE_SA_INIT request 0 [ SA ]"},
		{Text: "203.0.113.99 is initiating an IKE_SA"},
		{Text: "received proposals: IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024"},
		{Text: "configured proposals: IKE:AES_CBC_256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024"},
		{Text: "received proposals unacceptable"},
	}
	if f := Log(other, near); len(f) != 0 {
		t.Errorf("got %+v", f)
	}
}

func TestWhatComesUpPutsRightWhatWasWrong(t *testing.T) {
	near, _ := pairOf()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	log := []Line{
		{At: at, Tunnel: "seoul", Text: "received AUTHENTICATION_FAILED notify error"},
		{At: at.Add(time.Second), Tunnel: "seoul", Text: "CHILD_SA seoul{2} established with SPIs 1_i 2_o and TS a === b"},
	}
	if f := Log(log, near); first(f) != vpn.NoExceptionFound {
		t.Errorf("got %+v", f)
	}
	log = append(log, Line{At: at.Add(2 * time.Second), Tunnel: "seoul", Text: "giving up after 5 retransmits"})
	if f := Log(log, near); first(f) != vpn.DpdTimeout || f[0].Severity != vpn.Critical {
		t.Errorf("got %+v", f)
	}
	log = append(log, Line{At: at.Add(3 * time.Second), Tunnel: "seoul", Text: "CHILD_SA seoul{3} established with SPIs 1_i 2_o and TS a === b"})
	if f := Log(log, near); first(f) != vpn.DpdTimeout || f[0].Severity != vpn.Warn {
		t.Errorf("got %+v", f)
	}
}

func TestATunnelOlderThanTheLogHasDied(t *testing.T) {
	near, _ := pairOf()
	log := []Line{
		{Tunnel: "seoul", Text: "retransmit 4 of request with message ID 0"}, // a responder's first request
		{Tunnel: "seoul", Text: "giving up after 4 retransmits"},
	}
	if f := Log(log, near); first(f) != vpn.DpdTimeout {
		t.Errorf("got %+v", f)
	}
	log = append([]Line{{Tunnel: "seoul", Text: "initiating IKE_SA seoul[1] to 198.18.1.3"}}, log...)
	if f := Log(log, near); first(f) != vpn.NoResponse {
		t.Errorf("got %+v", f)
	}
}

func TestLinesAreTheReportsLines(t *testing.T) {
	l := Line(report.LogLine{Group: "IKE", Tunnel: "seoul", Text: "x"})
	if l.Tunnel != "seoul" {
		t.Error(l)
	}
	got, ok := ParseLine("2026-11-22T15:10:53 13[IKE] <seoul|1> received DELETE for IKE_SA seoul[1]\n")
	if !ok || got.Group != "IKE" || got.Tunnel != "seoul" || got.Text != "received DELETE for IKE_SA seoul[1]" || got.At.IsZero() {
		t.Errorf("got %+v, %v", got, ok)
	}
	if got, ok = ParseLine("15:10:53.123 13[NET] <1> received packet"); !ok || got.Tunnel != "" || got.At.IsZero() {
		t.Errorf("got %+v, %v", got, ok)
	}
	if _, ok = ParseLine("hello"); ok {
		t.Error("a line of somebody else was taken")
	}
}

func FuzzLog(f *testing.F) {
	logs, _ := filepath.Glob(filepath.Join("testdata", "*", "*.log"))
	for _, p := range logs {
		b, _ := os.ReadFile(p)
		f.Add(string(b[max(0, len(b)-1536):]))
	}
	near, far := pairOf()
	f.Fuzz(func(t *testing.T, log string) {
		l := lines(log)
		Log(l, near)
		Log(l, vpn.Connection{})
		for _, x := range Merge(Log(l, far), Log(l, near)) {
			if x.Code == "" || x.Fix == "" || severity(x) < 0 {
				t.Fatalf("incomplete: %+v", x)
			}
		}
	})
}
