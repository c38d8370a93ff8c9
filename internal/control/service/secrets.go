package service

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
	"causeway/internal/snapshot"
	"causeway/internal/vpn"
)

// Secrets that users give, pre-shared keys and the like, are sealed when a
// resource is judged and stay so: in the store, in the compiled world, in every
// answer. They are opened for a gateway's agent, for a device configuration, and
// for those who ask to see them.

// completeSecrets puts in what an edit leaves out: a mask, or nothing where
// something must be, stands for the secret that is there; a new connection is
// given a key. Old is nil for a new resource. Nothing of old's memory is changed.
func (t *tx) completeSecrets(old, o resource.Object) error {
	s, ok := o.(resource.Secretive)
	if !ok {
		return nil
	}
	kept := map[string]vpn.Secret{}
	if before, ok := old.(resource.Secretive); ok && before != nil {
		for _, f := range before.Secrets() {
			kept[f.Path] = *f.Value
		}
	}
	c, isConnection := o.(*resource.IPsecConnection)
	if was, ok := old.(*resource.IPsecConnection); ok && was != nil && isConnection {
		kept = keptByTunnel(was, c)
	}
	var made vpn.Secret // for all tunnels that are given none: charon finds a key by identities, which may be the same
	for _, f := range s.Secrets() {
		was := kept[f.Path]
		switch {
		case *f.Value == vpn.Mask && was == "":
			return resource.Errorf(resource.CodeInvalidField, "a mask stands where a secret must").At(f.Path, vpn.Mask).
				Allow("the secret itself").WithFix("exports and answers show masks; a mask only keeps a secret that is stored already")
		case *f.Value == vpn.Mask, *f.Value == "" && was != "" && isConnection && methodWants(c, f.Path):
			*f.Value = was
		case *f.Value == "" && isConnection && methodWants(c, f.Path) && isPSK(f.Path):
			if made == "" {
				made = otherKey(c)
			}
			if made == "" {
				var err error
				if made, err = t.newPSK(); err != nil {
					return err
				}
			}
			*f.Value, t.made[c.Name+" "+f.Path] = made, true
		}
		if was != "" && *f.Value != was && *f.Value != "" {
			if text, err := t.openSecret(o.Head().ID, was); err == nil && text == *f.Value {
				*f.Value = was // the same again: sealed alike, so that nothing changes
			}
		}
	}
	return nil
}

// keptByTunnel is the secrets that old's tunnels have, by where those tunnels are
// in c: one that an edit leaves as it was is found again when another has gone, or
// when they change places. One that was edited is taken to be where it was.
func keptByTunnel(old, c *resource.IPsecConnection) map[string]vpn.Secret {
	kept, taken := map[string]vpn.Secret{}, map[int]bool{}
	keep := func(i, k int) {
		taken[k] = true
		kept[fmt.Sprintf("tunnels[%d].auth.psk", i)] = old.Tunnels[k].Auth.PSK
		kept[fmt.Sprintf("tunnels[%d].auth.private_key", i)] = old.Tunnels[k].Auth.PrivateKey
	}
	was := make([]string, len(old.Tunnels))
	for k := range was {
		was[k] = withoutSecrets(old.Tunnels[k])
	}
	var edited []int
	for i := range c.Tunnels {
		is, at := withoutSecrets(c.Tunnels[i]), -1
		for k := range was {
			if was[k] == is && !taken[k] && (at < 0 || k == i) {
				at = k
			}
		}
		if at < 0 {
			edited = append(edited, i)
		} else {
			keep(i, at)
		}
	}
	for _, i := range edited {
		if i < len(was) && !taken[i] {
			keep(i, i)
		}
	}
	return kept
}

// withoutSecrets is what tells a tunnel from another. Its role does not: where it
// is left out it follows from the tunnel's place.
func withoutSecrets(t resource.IPsecTunnel) string {
	t.Auth.PSK, t.Auth.PrivateKey, t.Role = "", "", ""
	text, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("service: a tunnel cannot be encoded: %v", err))
	}
	return string(text)
}

// methodWants reports whether the secret at path belongs to its tunnel's method.
func methodWants(c *resource.IPsecConnection, path string) bool {
	for i := range c.Tunnels {
		switch path {
		case fmt.Sprintf("tunnels[%d].auth.psk", i):
			return c.Tunnels[i].Auth.Method == vpn.PSK
		case fmt.Sprintf("tunnels[%d].auth.private_key", i):
			return c.Tunnels[i].Auth.Method == vpn.Certificate
		}
	}
	return false
}

// otherKey is a key that one of c's tunnels has.
func otherKey(c *resource.IPsecConnection) vpn.Secret {
	for i := range c.Tunnels {
		if a := &c.Tunnels[i].Auth; a.Method == vpn.PSK && a.PSK != "" && a.PSK != vpn.Mask {
			return a.PSK
		}
	}
	return ""
}

func isPSK(path string) bool { return len(path) > 4 && path[len(path)-4:] == ".psk" }

// sealSecrets seals what is not sealed yet.
func (s *Service) sealSecrets(o resource.Object) {
	secretive, ok := o.(resource.Secretive)
	if !ok {
		return
	}
	for _, f := range secretive.Secrets() {
		if *f.Value != "" && !resource.IsSealed(*f.Value) {
			*f.Value = resource.Sealed(base64.RawStdEncoding.EncodeToString(s.sealer.Seal([]byte(f.Value.Reveal()), secretOf(o.Head().ID))))
		}
	}
}

// secretOf binds a sealed secret to its resource, which no other has the ID of.
func secretOf(id string) string { return "secret of " + id }

// openSecret returns what a sealed secret of the resource with that ID holds;
// one that is not sealed as it is.
func (s *Service) openSecret(id string, secret vpn.Secret) (vpn.Secret, error) {
	text, sealed := resource.SealedText(secret)
	if !sealed {
		return secret, nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", resource.AsError(errors.New("a sealed secret in the store is damaged"))
	}
	plain, err := s.sealer.Open(raw, secretOf(id))
	if err != nil {
		return "", resource.AsError(err)
	}
	return vpn.Secret(plain), nil
}

// openConnection opens the secrets of a connection in place; its tunnels must be
// the caller's own.
func (s *Service) openConnection(c *vpn.Connection) error {
	for i := range c.Tunnels {
		a := &c.Tunnels[i].Auth
		for _, secret := range []*vpn.Secret{&a.PSK, &a.PrivateKey} {
			var err error
			if *secret, err = s.openSecret(c.ID, *secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// OpenGateway returns a VPN gateway's snapshot as its agent is told it, secrets
// open. For the controller; it asks no permission.
func (s *Service) OpenGateway(g snapshot.Gateway) (snapshot.Gateway, error) {
	connections := make([]vpn.Connection, len(g.Connections))
	for i, c := range g.Connections {
		c.Tunnels = append([]vpn.Tunnel(nil), c.Tunnels...)
		if err := s.openConnection(&c); err != nil {
			return g, err
		}
		connections[i] = c
	}
	if g.Connections != nil {
		g.Connections = connections
	}
	return g, nil
}

// opened is a copy of c with its secrets open.
func (s *Service) opened(c resource.IPsecConnection) (resource.IPsecConnection, error) {
	c.Tunnels = append([]resource.IPsecTunnel(nil), c.Tunnels...) // the world's own stay sealed
	for _, f := range c.Secrets() {
		var err error
		if *f.Value, err = s.openSecret(c.ID, *f.Value); err != nil {
			return c, err
		}
	}
	return c, nil
}

// RevealSecrets returns one resource with its secrets as they are, and leaves an
// entry in the audit log.
func (s *Service) RevealSecrets(ctx context.Context, call Call, ref resource.Ref) (resource.Object, error) {
	if err := auth.Authorize(call.Caller, "RevealSecrets"); err != nil {
		return nil, err
	}
	var o resource.Secretive
	switch ref.Kind {
	case resource.KindIPsecConnection:
		c, err := get[resource.IPsecConnection](ctx, s, call, ref.Name)
		if err != nil {
			return nil, err
		}
		if err := s.disclose(ctx, call, "RevealSecrets", &c); err != nil {
			return nil, s.refusal("RevealSecrets", err)
		}
		if c, err = s.opened(c); err != nil {
			return nil, s.refusal("RevealSecrets", err)
		}
		return &c, nil
	case resource.KindCustomerGateway:
		g, err := get[resource.CustomerGateway](ctx, s, call, ref.Name)
		if err != nil {
			return nil, err
		}
		if err := s.disclose(ctx, call, "RevealSecrets", &g); err != nil {
			return nil, s.refusal("RevealSecrets", err)
		}
		o = &g
	default:
		return nil, resource.Errorf(resource.CodeUnsupported, "a %s has no secrets that can be shown", ref.Kind.Noun()).On(ref).
			Allow("%s, %s", resource.KindIPsecConnection, resource.KindCustomerGateway)
	}
	for _, f := range o.Secrets() {
		var err error
		if *f.Value, err = s.openSecret(o.Head().ID, *f.Value); err != nil {
			return nil, s.refusal("RevealSecrets", err)
		}
	}
	return o, nil
}

const pskAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// newPSK makes a pre-shared key that every device takes, 95 bits of randomness.
func (t *tx) newPSK() (vpn.Secret, error) {
	var key []byte
	raw := make([]byte, 32)
	for len(key) < resource.PSKLength {
		if _, err := io.ReadFull(t.rng, raw); err != nil {
			return "", resource.AsError(fmt.Errorf("read random bytes: %w", err))
		}
		for _, b := range raw {
			if n := int(b) &^ 0xc0; n < len(pskAlphabet) && len(key) < resource.PSKLength { // all characters alike
				key = append(key, pskAlphabet[n])
			}
		}
	}
	return vpn.Secret(key), nil
}
