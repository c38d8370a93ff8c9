package controller

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"strings"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/apiform"
	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

// Enrol uses a token up and signs the machine's certificate. The serial number
// is chosen before, so that the store knows it before the certificate exists.
// It follows from key and token: the same machine that asks again, because the
// answer got lost, asks for the same.
func (c *Controller) Enrol(ctx context.Context, m agentlink.Machine) (string, []byte, error) {
	key, err := x509.MarshalPKIXPublicKey(m.Key)
	if err != nil {
		return "", nil, apiform.EncodeError(resource.Errorf(resource.CodeInvalidField, "the machine's key cannot be used"))
	}
	sum := sha256.Sum256(append([]byte(m.Token+"\x00"), key...))
	serial := serialOf(sum[:])
	notAfter := time.Now().Add(agentlink.CertificateLife).Truncate(time.Second)
	call := service.Call{
		Caller:      auth.Caller{Name: "enrolment"},
		Token:       "enrol-" + hex.EncodeToString(sum[:16]),
		Fingerprint: hex.EncodeToString(sum[:]) + m.PublicKey,
	}
	became, err := c.service.Enrol(ctx, call, service.Enrolment{
		Secret: m.Token, PublicKey: m.PublicKey, Certificate: agentlink.SerialText(serial.Bytes()), NotAfter: notAfter,
	})
	if resource.CodeOf(err) == resource.CodeTokenReused { // this machine, a moment ago
		became, err = c.enrolledBefore(ctx, m, agentlink.SerialText(serial.Bytes()))
	}
	if err != nil {
		c.log.Warn("a machine was refused", "reason", err)
		return "", nil, apiform.EncodeError(err)
	}
	certificate, err := c.authority.Agent(became.Agent, m.Key, serial, became.Enrolment.NotAfter)
	if err != nil {
		return "", nil, apiform.EncodeError(err)
	}
	c.log.Info("a machine was enrolled", "as", resource.RefOfAgent(became.Agent), "certificate", agentlink.SerialText(serial.Bytes()))
	return became.Agent, certificate, nil
}

// enrolledBefore returns what a machine became by the same token and key.
func (c *Controller) enrolledBefore(ctx context.Context, m agentlink.Machine, serial string) (service.Enrolled, error) {
	id, _, _ := strings.Cut(m.Token, ".")
	var none service.Enrolled
	token, err := c.service.GetToken(ctx, service.Call{Caller: auth.Local}, id)
	if err != nil {
		return none, err
	}
	agent, flag := token.PoP, "--pop "+token.PoP
	if token.Gateway != "" {
		agent, flag = resource.AgentOf(resource.Ref{Kind: resource.KindVPNGateway, Name: token.Gateway}), "--gateway "+token.Gateway
	}
	now, err := c.service.EnrolledAs(ctx, agent)
	if err != nil {
		return none, err
	}
	if err := c.service.CertificateGood(ctx, agent, serial); err != nil {
		return none, err
	}
	if now.PublicKey != m.PublicKey {
		return none, resource.Errorf(resource.CodeTokenInvalid, "the enrolment token was used with another overlay key").WithFix("make a new one: causeway token create %s", flag)
	}
	return now, nil
}

// serialOf makes a serial number of a digest: positive, at most 20 bytes (RFC
// 5280 section 4.1.2.2), and without leading zero bytes.
func serialOf(sum []byte) *big.Int {
	bytes := append([]byte(nil), sum[:16]...)
	bytes[0] = bytes[0]&0x3f | 0x40
	return new(big.Int).SetBytes(bytes)
}

// Renew signs a certificate that lasts longer.
func (c *Controller) Renew(ctx context.Context, pop string, serial *big.Int, key crypto.PublicKey) ([]byte, error) {
	notAfter := time.Now().Add(agentlink.CertificateLife).Truncate(time.Second)
	if _, err := c.service.RenewPoP(ctx, service.Call{Caller: auth.ForAgent(pop)}, agentlink.SerialText(serial.Bytes()), notAfter); err != nil {
		return nil, apiform.EncodeError(err)
	}
	certificate, err := c.authority.Agent(pop, key, serial, notAfter)
	if err != nil {
		return nil, apiform.EncodeError(err)
	}
	c.log.Info("a certificate was renewed", "pop", pop, "until", notAfter)
	return certificate, nil
}
