package aliyun

import (
	"testing"

	rpc "github.com/alibabacloud-go/tea-rpc/client"
	util "github.com/alibabacloud-go/tea-utils/service"
	"github.com/alibabacloud-go/tea/tea"
)

// teaRPC is the Terraform provider's transport: common parameters in the query,
// everything else in the form.
func teaRPC(t *testing.T, secret string) transport {
	t.Helper()
	config := &rpc.Config{AccessKeyId: tea.String(access.id), AccessKeySecret: tea.String(secret), Endpoint: tea.String(endpoint), Protocol: tea.String("HTTP"), RegionId: tea.String("cn-hangzhou")}
	c, err := rpc.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return func(action string, parameters map[string]any) (map[string]any, error) {
		return c.DoRequest(tea.String(action), nil, tea.String("POST"), tea.String("2019-11-20"), tea.String("AK"), nil, parameters, &util.RuntimeOptions{})
	}
}

func TestTheWalkThroughWithTerraformsTransport(t *testing.T) { walkOver(t, teaRPC(t, access.secret)) }

func TestTerraformsTransportUnderstandsRefusals(t *testing.T) {
	_, err := teaRPC(t, "not-the-secret")("DescribeRegions", nil)
	if code, _ := codeOf(err); code != "SignatureDoesNotMatch" {
		t.Errorf("a wrong secret: %v", err)
	}
	_, err = teaRPC(t, access.secret)("GetAcl", map[string]any{"AclId": "acl-nothing", "Psk": canary})
	if code, status := codeOf(err); code != "NotExist.Acl" || status != 404 {
		t.Errorf("something that is not there: %v (%s, %d)", err, code, status)
	}
}
