package service

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"causeway/internal/control/auth"
	"causeway/internal/problem"
	"causeway/internal/resource"
	"causeway/internal/vpn"
	"causeway/internal/vpn/device"
)

// VPNConfigRequest says which end of a connection is to be configured, and how.
type VPNConfigRequest struct {
	Device string // one of device.Names, or an alias
	Side   string // "local", the VPN gateway, or "remote", the far end; default local
	Reveal bool   // secrets as they are, not a placeholder in their place
	WAN    string // the device's interface towards the Internet; default a placeholder
	LAN    string // towards the networks; default a placeholder
}

// VPNConfig is a device's configuration, and what to think of before using it.
type VPNConfig struct {
	device.Config
	Findings []vpn.Finding
}

// GetVPNConfig writes the configuration of a device for one end of an IPsec
// connection. With its secrets it needs the role that RevealSecrets needs, and
// leaves an entry in the audit log.
func (s *Service) GetVPNConfig(ctx context.Context, call Call, ref string, r VPNConfigRequest) (VPNConfig, error) {
	var none VPNConfig
	if err := auth.Authorize(call.Caller, "GetVPNConfig"); err != nil {
		return none, err
	}
	if err := auth.Authorize(call.Caller, "RevealSecrets"); err != nil && r.Reveal {
		return none, resource.AsError(err).WithFix("ask for it without secrets: causeway vpn config --masked")
	}
	v, err := s.view(ctx)
	if err != nil {
		return none, err
	}
	c, err := v.connection(ref)
	if err != nil {
		return none, err
	}
	if _, err := device.Find(r.Device); err != nil {
		return none, unknownDevice(err, r.Device)
	}
	around := v.World.Around()
	built, refusal, fix := around.Connection(c)
	if refusal != "" {
		return none, resource.Errorf(resource.CodeInvalidField, "%s has no peer: %s", resource.RefOf(c), refusal).On(resource.RefOf(c)).WithFix("%s", fix)
	}
	if err := s.openConnection(&built); err != nil {
		return none, s.refusal("GetVPNConfig", err)
	}
	switch r.Side {
	case "", "local":
	case "remote":
		built = farEnd(around, c, built)
	default:
		return none, resource.Errorf(resource.CodeInvalidField, "a connection has two sides").At("side", r.Side).Allow("local, remote").
			WithFix("local is the VPN gateway %s, remote the far end", c.VPNGateway)
	}
	config, err := device.Render(r.Device, built, device.Options{WAN: r.WAN, LAN: r.LAN, Hide: !r.Reveal})
	var found problem.List
	switch {
	case errors.As(err, &found):
		for i := range found {
			found[i].Path = c.FieldOfBuilt(found[i].Path)
		}
		e := resource.Refuse(resource.RefOf(c), found)
		e.Message = fmt.Sprintf("%s cannot be written for %s", resource.RefOf(c), r.Device)
		return none, e
	case err != nil:
		return none, s.refusal("GetVPNConfig", err)
	}
	if r.Reveal {
		if err := s.disclose(ctx, call, "GetVPNConfig", c); err != nil {
			return none, s.refusal("GetVPNConfig", err)
		}
	}
	return VPNConfig{config, around.Lint(c)}, nil
}

// unknownDevice is the refusal of a device that there is no template for.
func unknownDevice(err error, name string) error {
	e := resource.Errorf(resource.CodeInvalidField, "no configuration can be written for that device").At("device", name).
		Allow("one of %s", strings.Join(device.Names(), ", ")).WithFix("see what each is: causeway vpn devices")
	if unknown := (*device.Unknown)(nil); errors.As(err, &unknown) && unknown.Nearest != "" {
		e.WithFix("did you mean %s?", unknown.Nearest)
	}
	return e
}

// farEnd is c as its far end has to have it. Where an accelerator stands between
// the two, each end's peer is the accelerator's address on its own side.
func farEnd(around *resource.Around, c *resource.IPsecConnection, built vpn.Connection) vpn.Connection {
	far := vpn.Mirror(built)
	g := around.Gateway(c.VPNGateway)
	for i := range far.Tunnels {
		for k := range c.Tunnels {
			if c.TunnelName(k) != built.Tunnels[i].Name || g == nil || !far.Tunnels[i].Accelerated {
				continue
			}
			p, _, _ := around.Peer(c, &c.Tunnels[k], g)
			far.Tunnels[i].Local.Address, far.Tunnels[i].Remote.Address = p.Own, p.Here
		}
	}
	return far
}

// connection returns the IPsec connection that ref, a name or an ID, stands for.
func (v *view) connection(ref string) (*resource.IPsecConnection, error) {
	name, ok := v.resolve(resource.KindIPsecConnection, ref)
	if !ok {
		return nil, missing[resource.IPsecConnection](v.Compiled, ref, "")
	}
	return lookup[resource.IPsecConnection](v.Compiled, name), nil
}
