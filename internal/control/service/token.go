package service

import (
	"context"
	"time"

	"causeway/internal/resource"
)

// CreateToken makes a token by which one machine can become one PoP, once. Its
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

// ListTokens returns tokens, without their secrets; Query.PoP picks.
func (s *Service) ListTokens(ctx context.Context, call Call, q Query) (Page[resource.Token], error) {
	return listTokens(ctx, s, call, q)
}

// Enrolment is what a machine shows to become a PoP.
type Enrolment struct {
	Secret      string    // of the token
	PublicKey   string    // its overlay key, base64
	Certificate string    // serial number, hexadecimal, of the certificate that was made for it
	NotAfter    time.Time // when that certificate ends
}

// Enrol uses a token up and makes the machine its PoP, in one transaction: of
// two machines with one token, one is refused. The certificate is made before
// and handed out only when Enrol answers. A PoP that was enrolled before takes
// the new machine's key, and the old machine's certificate is no longer good.
func (s *Service) Enrol(ctx context.Context, call Call, e Enrolment) (resource.PoP, error) {
	return enrol(ctx, s, call, e)
}

// RenewPoP notes the new certificate of a PoP, for the PoP itself.
func (s *Service) RenewPoP(ctx context.Context, call Call, certificate string, notAfter time.Time) (resource.PoP, error) {
	return renew(ctx, s, call, certificate, notAfter)
}

// RevokePoP makes a PoP's certificate worthless; a new token enrols it again.
// What runs on the machine goes on until other PoPs are told, which is at once.
func (s *Service) RevokePoP(ctx context.Context, call Call, ref string) (resource.PoP, error) {
	return revoke(ctx, s, call, ref)
}

// CertificateGood returns nil when a certificate with that serial number is
// the one that the PoP was enrolled or renewed with, and has not been revoked.
func (s *Service) CertificateGood(ctx context.Context, pop, serial string) error {
	return certificateGood(ctx, s, pop, serial)
}
