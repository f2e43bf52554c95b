//! Who made a TPM, and whether it is a program.

use tpm2_protocol::basic::TpmUint32;
use tpm2_protocol::data::{TpmCap, TpmPt, TpmuCapabilities};
use tpm2_protocol::frame::{TpmGetCapabilityCommand, TpmGetCapabilityResponse};

use super::command::Auth;
use super::{Error, Tpm};

/// What a TPM says of itself that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// The maker's name where the TCG's registry has one for its code, else the code's four letters.
    pub maker: String,
    /// The maker's words for the model, as `SW TPM`.
    pub model: String,
    /// Four numbers, as the maker counts.
    pub firmware: String,
    /// The revision of the specification: `1.38`, `1.59`, …
    pub revision: String,
    /// A program, not a chip.
    pub software: bool,
}

impl Properties {
    /// What a TPM in software cannot promise.
    pub const SOFTWARE: &'static str = "a TPM in software: whoever runs it can copy its keys, and can put back an old state of \
                                        it, and with it of its counters and registers";

    /// From the properties' raw values: their tags, and four bytes each.
    pub(super) fn from_raw(values: &[(u32, u32)]) -> Properties {
        let of = |tag: TpmPt| values.iter().find(|(t, _)| *t == tag as u32).map_or(0, |(_, v)| *v);
        let letters = |tag| -> String {
            let bytes = of(tag).to_be_bytes();
            bytes.iter().map(|b| char::from(*b)).filter(|c| c.is_ascii_graphic() || *c == ' ').collect()
        };
        let code = letters(TpmPt::Manufacturer).trim().to_owned();
        let model: String =
            [TpmPt::VendorString1, TpmPt::VendorString2, TpmPt::VendorString3, TpmPt::VendorString4]
                .map(letters)
                .concat();
        let model = model.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let (v1, v2) = (of(TpmPt::FirmwareVersion1), of(TpmPt::FirmwareVersion2));
        let revision = of(TpmPt::Revision);
        Properties {
            software: is_software(&code, &model),
            maker: maker(&code).to_owned(),
            model,
            firmware: format!("{}.{}.{}.{}", v1 >> 16, v1 & 0xffff, v2 >> 16, v2 & 0xffff),
            revision: format!("{}.{:02}", revision / 100, revision % 100),
        }
    }

    /// `IBM SW TPM, firmware 8217.2.51.1234, revision 1.64`.
    pub fn line(&self) -> String {
        let kind = if self.software { "in software: " } else { "" };
        let model = if self.model.is_empty() { String::new() } else { format!(" {}", self.model) };
        format!("{kind}{}{model}, firmware {}, revision {}", self.maker, self.firmware, self.revision)
    }
}

/// Programs that answer as TPMs: libtpms (`swtpm`, QEMU), the reference simulator and Hyper-V's, VMware's, and Google's
/// virtual machines'. A TPM in a processor's firmware is none of these.
fn is_software(code: &str, model: &str) -> bool {
    matches!(code, "MSFT" | "VMW" | "GOOG" | "XCG") || model.starts_with("SW") || model.contains("vTPM")
}

/// From the TCG's registry of makers' codes.
fn maker(code: &str) -> &str {
    match code {
        "AMD" => "AMD",
        "ATML" => "Atmel",
        "BRCM" => "Broadcom",
        "CSCO" => "Cisco",
        "FLYS" => "Flyslice",
        "GOOG" => "Google",
        "HISI" => "Huawei",
        "HPE" => "HPE",
        "IBM" => "IBM",
        "IFX" => "Infineon",
        "INTC" => "Intel",
        "LEN" => "Lenovo",
        "MSFT" => "Microsoft",
        "NSM" => "National Semiconductor",
        "NTC" => "Nuvoton",
        "NTZ" => "Nationz",
        "QCOM" => "Qualcomm",
        "ROCC" => "Fuzhou Rockchip",
        "SMSC" => "SMSC",
        "SMSN" => "Samsung",
        "SNS" => "Sinosun",
        "STM" => "STMicroelectronics",
        "TXN" => "Texas Instruments",
        "VMW" => "VMware",
        "WEC" => "Winbond",
        other => other,
    }
}

impl Tpm {
    /// Asks for the fixed properties.
    pub(super) fn look(&mut self) -> Result<Properties, Error> {
        let command = TpmGetCapabilityCommand {
            cap: TpmCap::TpmProperties,
            property: TpmUint32::new(TpmPt::FamilyIndicator as u32),
            property_count: TpmUint32::new(64),
            handles: [],
        };
        let answer: TpmGetCapabilityResponse = self.run(&command, &Auth::None)?;
        let bad = |why: &str| Error::Answer { command: "TPM2_GetCapability", why: why.to_owned() };
        let TpmuCapabilities::TpmProperties(list) = answer.capability_data.data else {
            return Err(bad("it answers another question"));
        };
        let values: Vec<(u32, u32)> = list.iter().map(|p| (p.property as u32, p.value.value())).collect();
        let family = values
            .iter()
            .find(|(tag, _)| *tag == TpmPt::FamilyIndicator as u32)
            .map(|(_, v)| v.to_be_bytes());
        if family != Some(*b"2.0\0") {
            return Err(bad("it is of another family"));
        }
        Ok(Properties::from_raw(&values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &[u8; 4], model: [&[u8; 4]; 4]) -> Properties {
        let mut values = vec![(TpmPt::Manufacturer as u32, u32::from_be_bytes(*code))];
        for (k, part) in model.iter().enumerate() {
            values.push((TpmPt::VendorString1 as u32 + k as u32, u32::from_be_bytes(**part)));
        }
        values.push((TpmPt::Revision as u32, 138));
        values.push((TpmPt::FirmwareVersion1 as u32, 0x0007_0002));
        Properties::from_raw(&values)
    }

    #[test]
    fn programs_and_chips_are_told_apart() {
        let p = of(b"IBM ", [b"SW  ", b" TPM", &[0; 4], &[0; 4]]);
        assert_eq!((p.maker.as_str(), p.model.as_str(), p.software), ("IBM", "SW TPM", true));
        assert_eq!(p.line(), "in software: IBM SW TPM, firmware 7.2.0.0, revision 1.38");
        let p = of(b"IFX\0", [b"SLB9", b"670\0", &[0; 4], &[0; 4]]);
        assert_eq!((p.maker.as_str(), p.model.as_str(), p.software), ("Infineon", "SLB9670", false));
        assert!(of(b"MSFT", [b"xCG ", b"fTPM", &[0; 4], &[0; 4]]).software);
        assert!(!of(b"AMD\0", [b"AMD\0", &[0; 4], &[0; 4], &[0; 4]]).software);
        assert_eq!(Properties::from_raw(&[]).maker, "");
    }
}
