package registry

import "strings"

// wellKnownRegistry is one or more registries with their companions.
type wellKnownRegistry struct {
	// registries are hosts, or *.suffix.
	registries []string
	hosts      func(registry string) []string
}

func always(hosts ...string) func(string) []string {
	return func(string) []string { return hosts }
}

// wellKnown is what operators publish, or what is seen, of where registries keep
// their tokens and blobs. docs/outbound.md lists it for people.
func wellKnown() []wellKnownRegistry {
	quay := []string{
		"cdn.quay.io", "cdn01.quay.io", "cdn02.quay.io", "cdn03.quay.io",
		"cdn04.quay.io", "cdn05.quay.io", "cdn06.quay.io",
	}
	return []wellKnownRegistry{
		// https://docs.docker.com/desktop/setup/allow-list/
		{[]string{"index.docker.io", "registry-1.docker.io"}, always(
			"auth.docker.io", "registry-1.docker.io",
			"production.cloudflare.docker.com", "production.cloudfront.docker.com",
			"docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com")},
		// https://trivy.dev/docs/latest/guide/references/troubleshooting/, "Firewall"
		{[]string{"ghcr.io"}, always("pkg-containers.githubusercontent.com")},
		// https://access.redhat.com/articles/7084334
		{[]string{"quay.io"}, always(quay...)},
		{[]string{"registry.redhat.io", "registry.access.redhat.com"}, always(append(quay, "quay.io")...)},
		// https://cloud.google.com/artifact-registry/docs/docker/pushing-and-pulling:
		// blobs come from Cloud Storage.
		{[]string{"gcr.io", "*.gcr.io", "*.pkg.dev"}, always("storage.googleapis.com")},
		// https://github.com/kubernetes/registry.k8s.io/blob/main/cmd/archeio/README.md
		{[]string{"registry.k8s.io"}, always(append(kubernetesBuckets(), "*.pkg.dev", "storage.googleapis.com")...)},
		// https://anywhere.eks.amazonaws.com/docs/getting-started/vsphere/vsphere-prereq/
		{[]string{"public.ecr.aws"}, always("d2glxqk2uabbnd.cloudfront.net", "d5l0dvt14r5h8.cloudfront.net")},
		// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html,
		// "Minimum Amazon S3 Bucket Permissions for Amazon ECR"
		{[]string{"*.amazonaws.com"}, layerBucket},
		// https://learn.microsoft.com/azure/container-registry/container-registry-firewall-access-rules
		{[]string{"mcr.microsoft.com"}, always("*.data.mcr.microsoft.com")},
		{[]string{"*.azurecr.io"}, always("*.data.azurecr.io")},
		// https://docs.gitlab.com/user/gitlab_com/
		{[]string{"registry.gitlab.com"}, always("gitlab.com", "cdn.registry.gitlab-static.net", "storage.googleapis.com")},
		// https://edu.chainguard.dev/chainguard/chainguard-images/network-requirements/
		{[]string{"cgr.dev"}, always("*.r2.cloudflarestorage.com")},
	}
}

// layerBucket is where Amazon ECR keeps the layers of a region. A registry is
// <account>.dkr.ecr.<region>.amazonaws.com.
func layerBucket(registry string) []string {
	_, rest, ok := strings.Cut(registry, ".dkr.ecr.")
	if !ok {
		return nil
	}
	region, _, _ := strings.Cut(rest, ".")
	return []string{"prod-" + region + "-starport-layer-bucket.s3." + region + ".amazonaws.com"}
}

// kubernetesBuckets are the mirrors of registry.k8s.io's layers, one a region.
func kubernetesBuckets() []string {
	regions := []string{
		"ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "eu-central-1", "eu-west-1", "eu-west-2",
		"eu-south-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
	hosts := make([]string, 0, 2*len(regions))
	for _, region := range regions {
		bucket := "prod-registry-k8s-io-" + region
		hosts = append(hosts, bucket+".s3.dualstack."+region+".amazonaws.com", bucket+".s3."+region+".amazonaws.com")
	}
	return hosts
}
