package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"causeway/internal/resource"
)

// CreateToken makes a token by which one machine can become one PoP or one VPN gateway, once. Its
// secret is in the answer and can never be read again.
func (s *Service) CreateToken(ctx context.Context, call Call, in resource.Token) (WithSecret[resource.Token], error) {
	return createToken(ctx, s, call, in)
}

// DeleteToken deletes a token, so that it can no longer be used.
func (s *Service) DeleteToken(ctx context.Context, call Call, ref string) (resource.Token, error) {
	return remove[resource.Token](ctx, s, call, ref, nil)
}

// GetToken returns one token, without its secret.
func (s *Service) GetToken(ctx context.Context, call Call, ref string) (resource.Token, error) {
	return getToken(ctx, s, call, ref)
}

// ListTokens returns tokens, without their secrets; Query.PoP and VPNGateway pick.
func (s *Service) ListTokens(ctx context.Context, call Call, q Query) (Page[resource.Token], error) {
	return listTokens(ctx, s, call, q)
}

// Enrolment is what a machine shows to become a PoP or a VPN gateway.
type Enrolment struct {
	Secret      string    // of the token
	PublicKey   string    // its overlay key, base64; of a PoP
	Certificate string    // serial number, hexadecimal, of the certificate that was made for it
	NotAfter    time.Time // when that certificate ends
}

// Enrolled is what a machine became.
type Enrolled struct {
	Agent     string // its name on the agents' link
	PublicKey string // of a PoP
	Enrolment resource.Enrolment
}

// Enrol uses a token up and makes the machine its PoP or VPN gateway, in one
// transaction: of two machines with one token, one is refused. The certificate
// is made before and handed out only when Enrol answers. What was enrolled
// before takes the new machine's key, and the old machine's certificate is no
// longer good.
func (s *Service) Enrol(ctx context.Context, call Call, e Enrolment) (Enrolled, error) {
	return enrol(ctx, s, call, e)
}

// RenewPoP notes the new certificate of an agent, for the agent itself.
func (s *Service) RenewPoP(ctx context.Context, call Call, certificate string, notAfter time.Time) (Enrolled, error) {
	return renew(ctx, s, call, certificate, notAfter)
}

// EnrolledAs returns how an agent is enrolled; nothing, when it is not. For the
// controller; it asks no permission.
func (s *Service) EnrolledAs(ctx context.Context, agent string) (Enrolled, error) {
	t, err := s.begin(ctx)
	if err != nil {
		return Enrolled{}, err
	}
	now, err := t.enrolled(agent)
	if err != nil || now.Enrolment == nil {
		return Enrolled{}, err
	}
	return Enrolled{agent, now.PublicKey, *now.Enrolment}, nil
}

// RevokePoP makes a PoP's certificate worthless; a new token enrols it again.
// What runs on the machine goes on until other PoPs are told, which is at once.
func (s *Service) RevokePoP(ctx context.Context, call Call, ref string) (resource.PoP, error) {
	return revoke(ctx, s, call, ref)
}

// CertificateGood returns nil when a certificate with that serial number is
// the one that the agent was enrolled or renewed with, and has not been revoked.
func (s *Service) CertificateGood(ctx context.Context, agent, serial string) error {
	return certificateGood(ctx, s, agent, serial)
}

func createToken(ctx context.Context, s *Service, call Call, in resource.Token) (WithSecret[resource.Token], error) {
	return mutate(ctx, s, call, "CreateToken", in, func(t *tx) (WithSecret[resource.Token], error) {
		half, err := t.random(secretBytes)
		if err != nil {
			return WithSecret[resource.Token]{}, err
		}
		var secret string
		in, err := createIn(t, in, func(t *tx, token *resource.Token) error {
			if token.Gateway != "" {
				g, err := find[resource.VPNGateway](t, token.Gateway, "gateway")
				if err != nil {
					return err
				}
				if g.Unmanaged {
					return resource.Errorf(resource.CodeInvalidField, "%s is unmanaged: no agent runs there", resource.RefOf(g)).At("gateway", g.Name).About(resource.RefOf(g)).
						WithFix("set unmanaged to false first: causeway vpn-gateway update %s --unmanaged=false", g.Name)
				}
				token.Gateway = g.Name
			} else {
				p, err := find[resource.PoP](t, token.PoP, "pop")
				if err != nil {
					return err
				}
				token.PoP = p.Name
			}
			token.Given = resource.TokenGiven{Expires: t.now.Add(token.TTL)}
			secret = token.ID + "." + half
			token.Hash = hash(secret)
			return nil
		})
		return WithSecret[resource.Token]{t.shownToken(in), secret}, err
	})
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// shownToken is a token as callers see it.
func (t *tx) shownToken(k resource.Token) resource.Token { return shownToken(k, t.now) }

func shownToken(k resource.Token, now time.Time) resource.Token {
	k.Hash = nil
	k.Status = resource.Status{State: resource.Usable}
	switch {
	case !k.Given.Used.IsZero():
		k.Status.State = resource.Used
	case !now.Before(k.Given.Expires):
		k.Status.State = resource.Expired
	}
	return k
}

func getToken(ctx context.Context, s *Service, call Call, ref string) (resource.Token, error) {
	k, err := getDirect[resource.Token](ctx, s, call, ref)
	return shownToken(k, s.now()), err
}

func listTokens(ctx context.Context, s *Service, call Call, q Query) (Page[resource.Token], error) {
	page, err := listDirect(ctx, s, call, q, func(k *resource.Token) bool {
		return (q.PoP == "" || k.PoP == q.PoP) && (q.VPNGateway == "" || k.Gateway == q.VPNGateway)
	})
	for i := range page.Items {
		page.Items[i] = shownToken(page.Items[i], s.now())
	}
	return page, err
}

func enrol(ctx context.Context, s *Service, call Call, e Enrolment) (Enrolled, error) {
	return mutate(ctx, s, call, "Enrol", e, func(t *tx) (Enrolled, error) {
		var none Enrolled
		token, err := t.useToken(e.Secret)
		if err != nil {
			return none, err
		}
		now := resource.Enrolment{At: t.now, Token: token.Name, Certificate: e.Certificate, NotAfter: e.NotAfter.UTC()}
		if token.Gateway != "" {
			err = t.setGatewayEnrolment(token.Gateway, 0, &now)
			return Enrolled{resource.AgentOf(resource.Ref{Kind: resource.KindVPNGateway, Name: token.Gateway}), "", now}, err
		}
		_, err = updateIn(t, token.PoP, 0, func(p *resource.PoP) error {
			p.PublicKey = e.PublicKey
			return nil
		}, func(t *tx, old, new *resource.PoP) error {
			if new.PublicKey == "" {
				return resource.Errorf(resource.CodeInvalidField, "a machine shows its overlay key when it is enrolled").At("public_key", "")
			}
			if err := checkPoPChange(t, old, new); err != nil {
				return err
			}
			new.Given.Enrolment = &now
			return nil
		})
		return Enrolled{token.PoP, e.PublicKey, now}, err
	})
}

// setGatewayEnrolment notes how a VPN gateway is enrolled.
func (t *tx) setGatewayEnrolment(name string, expect int64, e *resource.Enrolment) error {
	_, err := updateIn(t, name, expect, func(*resource.VPNGateway) error { return nil }, func(_ *tx, old, new *resource.VPNGateway) error {
		new.Given.Enrolment = e
		return nil
	})
	return err
}

// agentState is what is stored of an agent.
type agentState struct {
	PublicKey string
	Enrolment *resource.Enrolment
}

func (t *tx) enrolled(agent string) (agentState, error) {
	ref := resource.RefOfAgent(agent)
	if ref.Kind == resource.KindVPNGateway {
		g, err := find[resource.VPNGateway](t, ref.Name, "")
		if err != nil {
			return agentState{}, err
		}
		return agentState{Enrolment: g.Given.Enrolment}, nil
	}
	p, err := find[resource.PoP](t, ref.Name, "")
	if err != nil {
		return agentState{}, err
	}
	return agentState{p.PublicKey, p.Given.Enrolment}, nil
}

// useToken marks the token with that secret as used.
func (t *tx) useToken(secret string) (*resource.Token, error) {
	refused := func(why string) error {
		return resource.Errorf(resource.CodeTokenInvalid, "the enrolment token %s", why).WithFix("make a new one: causeway token create --pop <pop>, or --gateway <vpn gateway>")
	}
	id, _, _ := strings.Cut(secret, ".")
	token, err := find[resource.Token](t, id, "")
	if err != nil {
		if resource.CodeOf(err) == resource.CodeNotFound {
			return nil, refused("is not known")
		}
		return nil, err
	}
	switch {
	case subtle.ConstantTimeCompare(token.Hash, hash(secret)) != 1:
		return nil, refused("is not known")
	case !token.Given.Used.IsZero():
		return nil, refused("was used at " + token.Given.Used.Format(time.RFC3339))
	case !t.now.Before(token.Given.Expires):
		return nil, refused("was good until " + token.Given.Expires.Format(time.RFC3339))
	}
	used := *token
	used.Given.Used = t.now
	return token, t.replace(token, &used)
}

func renew(ctx context.Context, s *Service, call Call, certificate string, notAfter time.Time) (Enrolled, error) {
	return mutate(ctx, s, call, "RenewPoP", certificate, func(t *tx) (Enrolled, error) {
		agent := call.Caller.PoP
		was, err := t.enrolled(agent)
		if err != nil {
			return Enrolled{}, err
		}
		if was.Enrolment == nil || was.Enrolment.Revoked {
			return Enrolled{}, resource.Errorf(resource.CodeUnauthenticated, "%s is not enrolled", resource.RefOfAgent(agent)).WithFix("enrol it with a new token")
		}
		renewed := *was.Enrolment
		renewed.Certificate, renewed.NotAfter = certificate, notAfter.UTC()
		ref := resource.RefOfAgent(agent)
		if ref.Kind == resource.KindVPNGateway {
			err = t.setGatewayEnrolment(ref.Name, call.Expect, &renewed)
		} else {
			_, err = updateIn(t, ref.Name, call.Expect, func(*resource.PoP) error { return nil }, func(_ *tx, _, new *resource.PoP) error {
				new.Given.Enrolment = &renewed
				return nil
			})
		}
		return Enrolled{agent, was.PublicKey, renewed}, err
	})
}

func revoke(ctx context.Context, s *Service, call Call, ref string) (resource.PoP, error) {
	return mutate(ctx, s, call, "RevokePoP", ref, func(t *tx) (resource.PoP, error) {
		return updateIn(t, ref, call.Expect, func(*resource.PoP) error { return nil }, func(_ *tx, old, new *resource.PoP) error {
			if old.Given.Enrolment == nil {
				return resource.Errorf(resource.CodeUnauthenticated, "%s is not enrolled, so there is nothing to revoke", resource.RefOf(old))
			}
			revoked := *old.Given.Enrolment
			revoked.Revoked = true
			new.Given.Enrolment = &revoked
			return nil
		})
	})
}

func certificateGood(ctx context.Context, s *Service, agent, serial string) error {
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	now, err := t.enrolled(agent)
	refused := resource.Errorf(resource.CodeUnauthenticated, "the certificate of %s is not good any more", resource.RefOfAgent(agent)).WithFix("enrol the machine with a new token")
	switch {
	case resource.CodeOf(err) == resource.CodeNotFound:
		return refused
	case err != nil:
		return err
	}
	if e := now.Enrolment; e == nil || e.Revoked || e.Certificate != serial || !t.now.Before(e.NotAfter) {
		return refused
	}
	return nil
}
