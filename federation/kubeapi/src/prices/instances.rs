//! Which GPUs a machine type has: models as the driver names them, whole GPUs only. Types with a part of a GPU, or with
//! accelerators of other makers, have no price per GPU here and are passed over.

use super::Provider;

/// Model and count of a machine type.
pub fn gpus_of(provider: Provider, name: &str) -> Option<(&'static str, u32)> {
    match provider {
        Provider::Aws => aws(name),
        Provider::Gcp => gcp(name),
        Provider::Azure => azure(name.strip_prefix("Standard_")?),
        Provider::Own => None,
    }
}

const K80: &str = "Tesla-K80";
const M60: &str = "Tesla-M60";
const T4: &str = "Tesla-T4";
const V100_16: &str = "Tesla-V100-SXM2-16GB";
const V100_32: &str = "Tesla-V100-SXM2-32GB";
const V100_PCIE: &str = "Tesla-V100-PCIE-16GB";
const A10: &str = "NVIDIA-A10";
const A10G: &str = "NVIDIA-A10G";
const A100_40: &str = "NVIDIA-A100-SXM4-40GB";
const A100_80: &str = "NVIDIA-A100-SXM4-80GB";
const A100_PCIE: &str = "NVIDIA-A100-80GB-PCIe";
const H100: &str = "NVIDIA-H100-80GB-HBM3";
const H100_NVL: &str = "NVIDIA-H100-NVL";
const H200: &str = "NVIDIA-H200";
const B200: &str = "NVIDIA-B200";
const B300: &str = "NVIDIA-B300";
const L4: &str = "NVIDIA-L4";
const L40S: &str = "NVIDIA-L40S";
const T4G: &str = "NVIDIA-T4G";
const RTX_6000: &str = "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition";

fn aws(name: &str) -> Option<(&'static str, u32)> {
    let (family, size) = name.split_once('.')?;
    let one_four_eight = || match size {
        "xlarge" | "2xlarge" | "4xlarge" | "8xlarge" | "16xlarge" => Some(1),
        "12xlarge" | "24xlarge" => Some(4),
        "48xlarge" => Some(8),
        _ => None,
    };
    let of = |sizes: &[(&str, u32)]| sizes.iter().find(|(known, _)| *known == size).map(|(_, count)| *count);
    let (model, count) = match family {
        "p2" => (K80, of(&[("xlarge", 1), ("8xlarge", 8), ("16xlarge", 16)])),
        "p3" => (V100_16, of(&[("2xlarge", 1), ("8xlarge", 4), ("16xlarge", 8)])),
        "p3dn" => (V100_32, of(&[("24xlarge", 8)])),
        "p4d" => (A100_40, of(&[("24xlarge", 8)])),
        "p4de" => (A100_80, of(&[("24xlarge", 8)])),
        "p5" => (H100, of(&[("4xlarge", 1), ("48xlarge", 8)])),
        "p5e" | "p5en" => (H200, of(&[("48xlarge", 8)])),
        "p6-b200" => (B200, of(&[("48xlarge", 8)])),
        "p6-b300" => (B300, of(&[("48xlarge", 8)])),
        "g3" | "g3s" => (M60, of(&[("xlarge", 1), ("4xlarge", 1), ("8xlarge", 2), ("16xlarge", 4)])),
        "g4dn" if size == "12xlarge" => (T4, Some(4)),
        "g4dn" if size == "metal" => (T4, Some(8)),
        "g4dn" => (T4, one_four_eight().filter(|count| *count == 1)),
        "g5" => (A10G, one_four_eight()),
        "g5g" if matches!(size, "16xlarge" | "metal") => (T4G, Some(2)),
        "g5g" => (T4G, one_four_eight().filter(|count| *count == 1)),
        "g6" => (L4, one_four_eight()),
        "gr6" => (L4, of(&[("4xlarge", 1), ("8xlarge", 1)])),
        "g6e" => (L40S, one_four_eight()),
        _ => return None,
    };
    Some((model, count?))
}

fn gcp(name: &str) -> Option<(&'static str, u32)> {
    let (series, size) = name.rsplit_once('-')?;
    let counted = || size.strip_suffix('g')?.parse::<u32>().ok().filter(|count| (1..=16).contains(count));
    let (model, count) = match series {
        "a2-highgpu" | "a2-megagpu" => (A100_40, counted()),
        "a2-ultragpu" => (A100_80, counted()),
        "a3-highgpu" | "a3-megagpu" | "a3-edgegpu" => (H100, counted()),
        "a3-ultragpu" => (H200, counted()),
        "a4-highgpu" => (B200, counted()),
        "g2-standard" => match size {
            "4" | "8" | "12" | "16" | "32" => (L4, Some(1)),
            "24" => (L4, Some(2)),
            "48" => (L4, Some(4)),
            "96" => (L4, Some(8)),
            _ => return None,
        },
        "g4-standard" => match size {
            "48" => (RTX_6000, Some(1)),
            "96" => (RTX_6000, Some(2)),
            "192" => (RTX_6000, Some(4)),
            "384" => (RTX_6000, Some(8)),
            _ => return None,
        },
        _ => return None,
    };
    Some((model, count?))
}

fn azure(name: &str) -> Option<(&'static str, u32)> {
    Some(match name {
        "NC6s_v3" => (V100_PCIE, 1),
        "NC12s_v3" => (V100_PCIE, 2),
        "NC24s_v3" | "NC24rs_v3" => (V100_PCIE, 4),
        "ND40rs_v2" | "ND40s_v2" => (V100_32, 8),
        "NC4as_T4_v3" | "NC8as_T4_v3" | "NC16as_T4_v3" => (T4, 1),
        "NC64as_T4_v3" => (T4, 4),
        "NC24ads_A100_v4" => (A100_PCIE, 1),
        "NC48ads_A100_v4" => (A100_PCIE, 2),
        "NC96ads_A100_v4" => (A100_PCIE, 4),
        "ND96asr_v4" | "ND96asr_A100_v4" => (A100_40, 8),
        "ND96ams_A100_v4" | "ND96amsr_A100_v4" => (A100_80, 8),
        "NC40ads_H100_v5" | "NCC40ads_H100_v5" => (H100_NVL, 1),
        "NC80adis_H100_v5" => (H100_NVL, 2),
        "ND96is_H100_v5"
        | "ND96isr_H100_v5"
        | "ND96isf_H100_v5"
        | "ND96isrf_H100_v5"
        | "ND96is_flex_H100_v5"
        | "ND96is_noIB_H100_v5" => (H100, 8),
        "ND96isr_H200_v5" => (H200, 8),
        "NV36ads_A10_v5" | "NV36adms_A10_v5" => (A10, 1),
        "NV72ads_A10_v5" => (A10, 2),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_three_clouds() {
        for (provider, name, want) in [
            (Provider::Aws, "p4de.24xlarge", Some((A100_80, 8))),
            (Provider::Aws, "g5.12xlarge", Some((A10G, 4))),
            (Provider::Aws, "g4dn.metal", Some((T4, 8))),
            (Provider::Aws, "g6f.xlarge", None),
            (Provider::Aws, "dl1.24xlarge", None),
            (Provider::Aws, "trn1.32xlarge", None),
            (Provider::Gcp, "a2-megagpu-16g", Some((A100_40, 16))),
            (Provider::Gcp, "g2-standard-96", Some((L4, 8))),
            (Provider::Gcp, "g4-standard-6", None),
            (Provider::Azure, "Standard_ND96isr_H200_v5", Some((H200, 8))),
            (Provider::Azure, "Standard_NV6ads_A10_v5", None),
            (Provider::Azure, "Standard_ND96is_MI300X_v5", None),
        ] {
            assert_eq!(gpus_of(provider, name), want, "{name}");
        }
    }
}
