package vpngw

import (
	"errors"
	"regexp"
	"sort"
	"strings"

	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
	"causeway/internal/vpn"
)

// telling are words in a line of a snapshot file, or in a path, that say that a
// secret may stand beside them.
var telling = regexp.MustCompile(`(?i)psk|secret|password|key|auth`)

// hideSecrets takes out of a refusal what may be a secret: the text of lines, and
// the value found, wherever their words say so.
func hideSecrets(err error) error {
	var content *strictyaml.Error
	if !errors.As(err, &content) {
		return err
	}
	for i := range content.Problems {
		p := &content.Problems[i]
		if telling.MatchString(p.Source) || telling.MatchString(p.Path) {
			p.Source = ""
		}
		if last := p.Path[strings.LastIndexByte(p.Path, '.')+1:]; p.Found != "" && (last == "psk" || last == "private_key" || last == "auth") {
			for _, text := range []*string{&p.Allowed, &p.Fix} {
				*text = strings.ReplaceAll(*text, p.Found, vpn.Mask)
			}
			p.Found = vpn.Mask
		}
	}
	return err
}

// hider replaces the secrets of a snapshot in texts of others by a mask.
type hider struct{ replace *strings.Replacer }

// shortest is how long a text must be to be looked for; shorter ones would be
// found in the midst of words. (A pre-shared key has at least 8 characters.)
const shortest = 6

func newHider(g snapshot.Gateway) hider {
	var secrets []string
	for _, c := range g.Connections {
		for _, t := range c.Tunnels {
			secrets = append(secrets, t.Auth.PSK.Reveal())
			secrets = append(secrets, strings.Split(t.Auth.PrivateKey.Reveal(), "\n")...)
		}
	}
	sort.Slice(secrets, func(i, j int) bool { return len(secrets[i]) > len(secrets[j]) }) // the whole before its parts
	var pairs []string
	for _, s := range secrets {
		if s = strings.TrimSpace(s); len(s) >= shortest && !strings.HasPrefix(s, "-----") {
			pairs = append(pairs, s, vpn.Mask)
		}
	}
	return hider{strings.NewReplacer(pairs...)}
}

// text returns s without secrets.
func (h hider) text(s string) string {
	if h.replace == nil {
		return s
	}
	return h.replace.Replace(s)
}

// hiddenError is an error whose text has no secrets.
type hiddenError struct {
	error
	text string
}

func (e hiddenError) Error() string { return e.text }
func (e hiddenError) Unwrap() error { return e.error }

// error returns err with a text without secrets.
func (h hider) error(err error) error {
	if err == nil {
		return nil
	}
	return hiddenError{err, h.text(err.Error())}
}
