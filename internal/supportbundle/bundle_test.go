package supportbundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// canaries are secrets in every dress that files and logs of ours have. None may
// be in a bundle.
var canaries = []struct{ text, secret string }{
	{`psk: CANARYpsk1`, "CANARYpsk1"},
	{`"pre_shared_key": "CANARY with \" quote"`, "CANARY with"},
	{`pre-shared-key=CANARYpsk2 next=fine`, "CANARYpsk2"},
	{`secret = 'CANARY three words'`, "CANARY three"},
	{`level=INFO msg="made" token=CANARYtoken1.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG pop=x`, "CANARYtoken1"},
	{`Authorization: Bearer CANARYid12.CANARYsecretCANARYsecret`, "CANARYid12"},
	{`access_key: CANARYkey1.secretsecretsecretsecretsecret`, "CANARYkey1"},
	{`run it with CANARYid99.secretsecretsecretsecret00 instead`, "CANARYid99"},
	{"-----BEGIN PRIVATE KEY-----\nCANARYpem\n-----END PRIVATE KEY-----", "CANARYpem"},
	{"-----BEGIN EC PRIVATE KEY-----\nCANARYpemcut\n", "CANARYpemcut"},
	{`secret = 0sQ0FOQVJZQ0FOQVJZ`, "Q0FOQVJZQ0FOQVJZ"},
	{`key 0x00112233445566778899aabbccddeeff00112233 in state`, "00112233445566778899aabbccddeeff"},
	{`iBhCANARYaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=`, "CANARYaaaa"},
	{`[iBhCANARYbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb=,iBhCANARYccccccccccccccccccccccccccccccccc1=]`, "CANARYccc"},
	{`causeway vpn create --psk CANARYflag --name x`, "CANARYflag"},
	{`password: CANARYpw`, "CANARYpw"},
	{`OTEL_EXPORTER_OTLP_ENDPOINT=https://user:CANARYurl@collector:4318`, "CANARYurl"},
	{`{"seal_key":"CANARYseal"}`, "CANARYseal"},
	{`ike-secret { secret = "CANARYswan" }`, "CANARYswan"},
	{`CAUSEWAY_ACCESS_KEY=CANARYenv`, "CANARYenv"},
}

// kept is what must stay readable, or a bundle is of no use.
var kept = []string{
	"203.0.113.10:4600", "causeway_overlay_residual_loss_ratio 0.01", `"peer": "se1"`, "2026-11-22T15:04:05Z", "net.core.rmem_max = 212992",
	"listener vpn of accelerator office", "docs/runbooks/CausewayDown.md", "level=WARN msg=\"the controller is not in reach\"", "causeway.example.net",
}

func TestNoCanaryGetsOut(t *testing.T) {
	for _, c := range canaries {
		if got := string(Redact([]byte(c.text))); strings.Contains(got, c.secret) || !strings.Contains(got, Mask) {
			t.Errorf("%q became %q", c.text, got)
		}
	}
	for _, text := range kept {
		if got := string(Redact([]byte(text))); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	// And so it is in the middle of other text, on lines of its own and in none.
	var all strings.Builder
	for _, c := range canaries {
		if !strings.HasPrefix(c.text, "-----") {
			all.WriteString("before " + c.text + " after\n")
		}
	}
	if got := string(Redact([]byte(all.String()))); strings.Contains(got, "CANARY") {
		t.Errorf("in the middle of text: %s", got)
	}
	once := Redact([]byte(all.String()))
	if twice := Redact(once); !bytes.Equal(once, twice) {
		t.Errorf("redacted again, it is\n%s", twice)
	}
}

func FuzzRedact(f *testing.F) {
	for _, c := range canaries {
		f.Add(c.text, c.secret)
	}
	f.Fuzz(func(t *testing.T, before, secret string) {
		if strings.ContainsAny(secret, "\"'\\\n\r ,;}]") || len(secret) < 4 || strings.Contains(Mask, secret) || strings.Contains(before, secret) {
			return
		}
		got := string(Redact([]byte(before + "\npsk: " + secret + "\n")))
		if strings.Contains(got, "psk: "+secret+"\n") {
			t.Errorf("%q is in %q", secret, got)
		}
	})
}

func TestABundleHasItsPartsWithoutSecretsAndSaysWhatIsMissing(t *testing.T) {
	const limit = 32 << 10
	var b bytes.Buffer
	var secrets strings.Builder
	for _, c := range canaries {
		secrets.WriteString(c.text + "\n")
	}
	parts := []Part{
		{"pop/status.json", "what the PoP says", func(context.Context) ([]byte, error) { return []byte(secrets.String()), nil }},
		{"log.txt", "the log", func(context.Context) ([]byte, error) { return bytes.Repeat([]byte("line\n"), limit/4), nil }},
		{"gone.txt", "what is gone", func(context.Context) ([]byte, error) { return nil, errors.New("token=CANARYinerror is wrong\nmore") }},
	}
	index, err := write(t.Context(), &b, "bundle", time.Unix(1_800_000_000, 0), parts, limit)
	if err != nil {
		t.Fatal(err)
	}
	zipped, err := gzip.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(zipped); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil || h.Mode != 0o600 {
			t.Fatalf("%s: mode %o, %v", h.Name, h.Mode, err)
		}
		files[h.Name] = string(text)
	}
	if len(files) != 3 || files["bundle/README.txt"] != index || !strings.Contains(index, "gone.txt") || !strings.Contains(index, "could not be had") {
		t.Errorf("%d files; index\n%s", len(files), index)
	}
	for name, text := range files {
		for _, c := range canaries {
			if strings.Contains(text, c.secret) {
				t.Errorf("%s has %q", name, c.secret)
			}
		}
		if strings.Contains(text, "CANARY") {
			t.Errorf("%s has a canary", name)
		}
	}
	if n := len(files["bundle/log.txt"]); n > limit {
		t.Errorf("the log has %d bytes", n)
	}
}
