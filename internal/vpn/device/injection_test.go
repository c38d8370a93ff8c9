package device

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"causeway/internal/vpn"
)

// frame is what a configuration looks like with the key taken out, as the
// device is to have it written: what is left must not depend on the key.
func frame(text, key string, w *writer) string {
	written := key
	switch {
	case w.Name == "strongswan" || w.Name == "libreswan":
		written = swanSecret(tunnel{Tunnel: vpn.Tunnel{Auth: vpn.Auth{PSK: vpn.Secret(key)}}}, Options{})
	case w.Name == "aws" || w.Name == "alibaba":
		written = shellInside(jsonInside(key))
	case w.Name == "pfsense":
		written, _ = xmlText(key)
	case w.quote != nil:
		written = w.quote(key)
	}
	return strings.ReplaceAll(text, written, "\x00")
}

func jsonInside(s string) string {
	t, _ := compact(s)
	return t[1 : len(t)-1]
}

func shellInside(s string) string { q := shell(s); return q[1 : len(q)-1] }

// A key goes into a configuration whole and nowhere else, or is refused.
func TestNoKeyBreaksOut(t *testing.T) {
	plain := "Zq7Zq7Zq7Zq7Zq7Zq7"
	wants := map[string]string{}
	for i := range writers {
		c := branch()
		c.Tunnels[0].Auth.PSK = vpn.Secret(plain)
		config, err := Render(writers[i].Name, c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		wants[writers[i].Name] = frame(config.Text(), plain, &writers[i])
	}
	rapid.Check(t, func(rt *rapid.T) {
		// Hostile words, whole and in pieces, among anything printable.
		key := rapid.OneOf(
			rapid.StringMatching(`[ -~]{8,40}`),
			rapid.Map(rapid.StringMatching(`[!-~]{4,10}`), func(s string) string { return s + `"; no aaa; '` + s }),
			rapid.SampledFrom([]string{"x\nusername root", `a"b\"c\\`, `'; reboot #`, "$(reboot)`id`", "]]></x><a>", `\`, `0x414243444546`, `0sQUJDREVG`, "{{.}}{{end}}", "${VGW}", "%any%s", "abcdefgh!"}),
		).Draw(rt, "key")
		for range 4 { // of the devices, at each check
			w := &writers[rapid.IntRange(0, len(writers)-1).Draw(rt, "device")]
			c := branch()
			c.Tunnels[0].Auth.PSK = vpn.Secret(key)
			config, err := Render(w.Name, c, Options{})
			switch {
			case err != nil && !strings.Contains(err.Error(), "auth.psk"):
				rt.Fatalf("%s: %q: %v", w.Name, key, err)
			case err == nil && frame(config.Text(), key, w) != wants[w.Name]:
				rt.Fatalf("%s: the key %q changed more than itself:\n%s", w.Name, key, config.Text())
			}
		}
	})
}

// Names, identities and interfaces are refused, or stay on their line.
func TestNoNameBreaksOut(t *testing.T) {
	lines := map[string]int{}
	for _, n := range Names() {
		config, err := Render(n, branch(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		lines[n] = strings.Count(config.Text(), "\n")
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z]{1,8}[ -~\n\r\t]{0,8}[a-z.]{1,30}`), rapid.SampledFrom([]string{"a\nb", "a;b", `a"b`, "a'b", "a\u2028b", "CN=a\nb"})).Draw(rt, "text")
		c := branch()
		switch rapid.IntRange(0, 5).Draw(rt, "where") {
		case 0:
			c.Name = text
		case 1:
			c.ID = text
		case 2:
			c.Tunnels[0].Local.ID = text
		case 3:
			c.Tunnels[0].Remote.ID = text
		case 4:
			c.Tunnels[0].Remote.Name = text
		case 5:
			c.Tunnels[0].Name = text
		}
		for range 4 {
			device := rapid.SampledFrom(Names()).Draw(rt, "device")
			if config, err := Render(device, c, Options{}); err == nil && strings.Count(config.Text(), "\n") != lines[device] {
				rt.Fatalf("%s: %q made other lines:\n%s", device, text, config.Text())
			}
		}
	})
}

// What is quoted for a shell comes out of one as it went in.
func TestShellsTakeQuotedTextsAsTheyAre(t *testing.T) {
	for _, s := range []string{"", "plain", `a'b`, `''`, "$(id)`id`\\", "a\nb", `{"Psk":"x'y"}`} {
		out, err := exec.Command("sh", "-c", "printf %s "+shell(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q came out as %q, %v", s, out, err)
		}
	}
}

// The cloud commands are shell, and hold JSON that says what the connection says.
func TestCloudCommandsAreShellWithJSON(t *testing.T) {
	for _, device := range []string{"aws", "alibaba"} {
		c := branch()
		if device == "alibaba" {
			c.Tunnels[0].Auth.PSK = `it's<a>&$(key)`
		}
		config, err := Render(device, c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-n", "-c", config.Files[0].Text).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", device, err, out)
		}
		// A shell in which the commands print their arguments.
		script := "aws() { for a; do printf '%s\\n' \"$a\"; done >&3; echo id; }; aliyun() { for a; do printf '%s\\n' \"$a\"; done >&3; echo id; }; exec 3>&1; REGION=r VPN_GATEWAY=v VGW=v\n" + config.Files[0].Text
		out, err := exec.Command("sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v %s", device, err, out)
		}
		found := false
		for _, j := range regexp.MustCompile(`(?m)^\{.*\}$`).FindAllString(string(out), -1) {
			var v map[string]any
			if err := json.Unmarshal([]byte(j), &v); err != nil {
				t.Errorf("%s: %v in %s", device, err, j)
			}
			if tunnels, ok := v["TunnelOptions"].([]any); ok {
				v = tunnels[0].(map[string]any)
			}
			found = found || v["Psk"] == c.Tunnels[0].Auth.PSK.Reveal() || v["PreSharedKey"] == c.Tunnels[0].Auth.PSK.Reveal()
		}
		if !found {
			t.Errorf("%s: the key did not arrive: %s", device, out)
		}
	}
}

// pfSense's file is XML in which the key is what it was.
func TestPfSenseFileIsXML(t *testing.T) {
	c := branch()
	c.Tunnels[0].Auth.PSK = `<a>&"'b]]>`
	config, err := Render("pfsense", c, Options{WAN: "wan"})
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Key string `xml:"phase1>pre-shared-key"`
	}
	d := xml.NewDecoder(strings.NewReader(config.Files[0].Text))
	if err := d.Decode(&v); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if v.Key != c.Tunnels[0].Auth.PSK.Reveal() {
		t.Errorf("the key came out as %q", v.Key)
	}
}
