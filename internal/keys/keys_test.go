package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// RFC 7748 section 6.1, Alice's pair, in WireGuard's text form.
const (
	alicePrivate = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
	alicePublic  = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
)

func TestPublicKeyBelongsToThePrivateOne(t *testing.T) {
	k, err := ParsePrivate(alicePrivate)
	if err != nil {
		t.Fatal(err)
	}
	if got := k.Public().String(); got != alicePublic {
		t.Errorf("public key %s, want %s", got, alicePublic)
	}
}

func TestAPrivateKeyNeverShowsItself(t *testing.T) {
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Key  PrivateKey
		Keys []PrivateKey
		ByID map[string]*PrivateKey
		Data Secret
	}
	h := holder{k, []PrivateKey{k}, map[string]*PrivateKey{"a": &k}, Secret(k)}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "% x", "%08d", "%T%v"} {
		fmt.Fprintf(&out, verb+"\n", k)
		fmt.Fprintf(&out, verb+"\n", &k)
		fmt.Fprintf(&out, verb+"\n", Secret(k))
		fmt.Fprintf(&out, verb+"\n", h)
	}
	fmt.Fprintln(&out, k, &k, h, fmt.Errorf("bad key %v", k))
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "key", k, "secret", Secret(k), "holder", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "key", k, "secret", Secret(k), "holder", h)

	printed := out.String()
	for name, form := range map[string]string{
		"base64":  k.Reveal(),
		"hex":     fmt.Sprintf("%x", k[:8]),
		"HEX":     fmt.Sprintf("%X", k[:8]),
		"hex gap": fmt.Sprintf("% x", k[:8]),
		"decimal": strings.Trim(fmt.Sprint(k[:4]), "[]"),
		"go":      strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", k[:4]), "[]byte{"), "}"),
		"octal":   strings.Trim(fmt.Sprintf("%o", k[:4]), "[]"),
		"binary":  strings.Trim(fmt.Sprintf("%b", k[:4]), "[]"),
	} {
		if strings.Contains(printed, form) {
			t.Errorf("the key came out as %s", name)
		}
	}
	if strings.Count(printed, hidden) < 50 {
		t.Errorf("%q was printed %d times only:\n%s", hidden, strings.Count(printed, hidden), printed)
	}
}

func TestTextForms(t *testing.T) {
	public, err := ParsePublic(alicePublic)
	if err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(map[string]PublicKey{"k": public})
	if err != nil || string(j) != `{"k":"`+alicePublic+`"}` {
		t.Errorf("JSON %s, %v", j, err)
	}
	var back map[string]PublicKey
	if err := json.Unmarshal(j, &back); err != nil || back["k"] != public {
		t.Errorf("read back %v, %v", back, err)
	}
	var private PrivateKey
	if err := private.UnmarshalText([]byte(alicePrivate)); err != nil || private.Public() != public {
		t.Errorf("private key from text: %v", err)
	}
	for name, text := range map[string]string{
		"empty":          "",
		"too short":      alicePublic[:40],
		"too long":       alicePublic + "=",
		"no padding":     alicePublic[:43] + "A",
		"not base64":     "!" + alicePublic[1:],
		"line break":     alicePublic[:20] + "\n" + alicePublic[21:],
		"trailing bits":  alicePublic[:42] + "p=",
		"all-zero":       strings.Repeat("A", 43) + "=",
		"URL-safe bytes": strings.ReplaceAll(alicePublic, "/", "_"),
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := ParsePublic(text); err == nil {
				t.Errorf("accepted as %v", k)
			}
			if _, err := ParsePrivate(text); err == nil {
				t.Error("accepted as a private key")
			} else if len(text) > 8 && strings.Contains(err.Error(), text[:8]) {
				t.Errorf("the error repeats the private text: %v", err)
			}
		})
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pop key")
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if got, err := LoadFile(path); err != nil || got != k {
		t.Errorf("loaded another key: %v", err)
	}
	other, _ := Generate()
	if err := other.WriteFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting gave %v, want fs.ErrExist", err)
	}
	if got, err := LoadFile(path); err != nil || got != k {
		t.Errorf("the refused write changed the file: %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o644, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadFile(path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600 '"+path+"'") {
			t.Errorf("mode %v: %v, want the chmod command", mode, err)
		}
	}
}

func TestLoadFileNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"): "no such file",
		dir:                          "no regular file",
		write("empty", ""):           "found 0 characters",
		write("huge", strings.Repeat("A", 10_000)):   "larger than",
		write("two", alicePrivate+"\n"+alicePrivate): "characters",
	} {
		_, err := LoadFile(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := LoadFile(write("spaces", "  "+alicePrivate+"\r\n\n")); err != nil {
		t.Errorf("white space around the key: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(alicePublic)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParsePublic(text)
		if err == nil && k.String() != text {
			t.Errorf("%q was read as %q", text, k)
		}
		_, _ = ParsePrivate(text)
	})
}
