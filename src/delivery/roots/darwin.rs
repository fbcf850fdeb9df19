//! The trusted roots in macOS's keychains.
//!
//! The two frameworks are loaded here, and not linked to the program: their start would take longer than a launch, and one of
//! them sets a variable (`__CF_USER_TEXT_ENCODING`), which claude would inherit.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};

use nix::libc;
use rustls::pki_types::CertificateDer;

use super::trust::{Setting, trusted};

/// A pointer to an object of Core Foundation.
type Object = *const c_void;

/// The user's settings, the administrator's, the system's.
const DOMAINS: [u32; 3] = [0, 1, 2];
/// `kCFStringEncodingUTF8`
const UTF_8: u32 = 0x0800_0100;
/// `kCFNumberSInt64Type`
const INTEGER: isize = 4;

/// The functions of both frameworks.
struct Frameworks {
    certificates: unsafe extern "C" fn(u32, *mut Object) -> i32,
    settings: unsafe extern "C" fn(Object, u32, *mut Object) -> i32,
    data: unsafe extern "C" fn(Object) -> Object,
    count: unsafe extern "C" fn(Object) -> isize,
    at: unsafe extern "C" fn(Object, isize) -> Object,
    length: unsafe extern "C" fn(Object) -> isize,
    bytes: unsafe extern "C" fn(Object) -> *const u8,
    value: unsafe extern "C" fn(Object, Object) -> Object,
    string: unsafe extern "C" fn(Object, *const c_char, u32) -> Object,
    text: unsafe extern "C" fn(Object, *mut c_char, isize, u32) -> u8,
    number: unsafe extern "C" fn(Object, isize, *mut c_void) -> u8,
    release: unsafe extern "C" fn(Object),
}

/// The trusted roots; none where the frameworks can't be loaded.
pub fn roots() -> Vec<CertificateDer<'static>> {
    let Some(frameworks) = Frameworks::load() else { return Vec::new() };
    let found = DOMAINS.into_iter().flat_map(|domain| frameworks.in_domain(domain));
    trusted(found).into_iter().map(CertificateDer::from).collect()
}

impl Frameworks {
    fn load() -> Option<Self> {
        let security = library(c"/System/Library/Frameworks/Security.framework/Security")?;
        let foundation = library(c"/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation")?;
        // SAFETY: each has the documented type of the function of this name.
        unsafe {
            Some(Self {
                certificates: symbol(security, c"SecTrustSettingsCopyCertificates")?,
                settings: symbol(security, c"SecTrustSettingsCopyTrustSettings")?,
                data: symbol(security, c"SecCertificateCopyData")?,
                count: symbol(foundation, c"CFArrayGetCount")?,
                at: symbol(foundation, c"CFArrayGetValueAtIndex")?,
                length: symbol(foundation, c"CFDataGetLength")?,
                bytes: symbol(foundation, c"CFDataGetBytePtr")?,
                value: symbol(foundation, c"CFDictionaryGetValue")?,
                string: symbol(foundation, c"CFStringCreateWithCString")?,
                text: symbol(foundation, c"CFStringGetCString")?,
                number: symbol(foundation, c"CFNumberGetValue")?,
                release: symbol(foundation, c"CFRelease")?,
            })
        }
    }

    /// The certificates of one domain, each with its settings. One whose settings can't be read is left out.
    fn in_domain(&self, domain: u32) -> Vec<(Vec<u8>, Vec<Setting>)> {
        // SAFETY: the functions are called as documented: what is copied is released once, what is only got is not, and nothing
        // got is used after its owner was released.
        unsafe {
            let mut list = std::ptr::null();
            if (self.certificates)(domain, &mut list) != 0 || list.is_null() {
                return Vec::new();
            }
            let found = self.items(list).filter_map(|certificate| {
                let mut settings = std::ptr::null();
                if (self.settings)(certificate, domain, &mut settings) != 0 || settings.is_null() {
                    return None;
                }
                let read = self.items(settings).map(|setting| self.setting(setting)).collect();
                (self.release)(settings);
                Some((self.der(certificate)?, read))
            });
            let found = found.collect();
            (self.release)(list);
            found
        }
    }

    /// SAFETY: `list` is an array that outlives the iterator.
    unsafe fn items(&self, list: Object) -> impl Iterator<Item = Object> {
        // SAFETY: each index is below the array's length.
        unsafe { (0..(self.count)(list)).map(move |index| (self.at)(list, index)) }
    }

    /// SAFETY: `certificate` is a certificate.
    unsafe fn der(&self, certificate: Object) -> Option<Vec<u8>> {
        // SAFETY: the bytes are copied before the data is released.
        unsafe {
            let data = (self.data)(certificate);
            if data.is_null() {
                return None;
            }
            let (bytes, length) = ((self.bytes)(data), usize::try_from((self.length)(data)).unwrap_or_default());
            let copy = if bytes.is_null() { Vec::new() } else { std::slice::from_raw_parts(bytes, length).to_vec() };
            (self.release)(data);
            Some(copy)
        }
    }

    /// SAFETY: `setting` is a dictionary of trust settings.
    unsafe fn setting(&self, setting: Object) -> Setting {
        // SAFETY: the values belong to the dictionary, and have the documented types.
        unsafe {
            let policy = self.get(setting, c"kSecTrustSettingsPolicyName").map(|name| {
                let mut text = [0; 256];
                let is_whole = (self.text)(name, text.as_mut_ptr(), 256, UTF_8) != 0;
                let text = is_whole.then(|| CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned());
                text.unwrap_or_default()
            });
            let result = self.get(setting, c"kSecTrustSettingsResult").and_then(|number| {
                let mut value = 0_i64;
                ((self.number)(number, INTEGER, (&raw mut value).cast()) != 0).then_some(value)
            });
            let limits = [
                c"kSecTrustSettingsPolicyString",
                c"kSecTrustSettingsApplication",
                c"kSecTrustSettingsAllowedError",
                c"kSecTrustSettingsKeyUsage",
            ];
            let is_limited = limits.into_iter().any(|key| self.get(setting, key).is_some());
            Setting { policy, result, is_limited }
        }
    }

    /// SAFETY: `dictionary` is a dictionary, and what is returned belongs to it.
    unsafe fn get(&self, dictionary: Object, key: &CStr) -> Option<Object> {
        // SAFETY: the key is made here, and released here.
        unsafe {
            let key = (self.string)(std::ptr::null(), key.as_ptr(), UTF_8);
            if key.is_null() {
                return None;
            }
            let value = (self.value)(dictionary, key);
            (self.release)(key);
            (!value.is_null()).then_some(value)
        }
    }
}

fn library(path: &CStr) -> Option<*mut c_void> {
    // SAFETY: a system library, which stays loaded.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    (!library.is_null()).then_some(library)
}

/// SAFETY: `T` is the type of a pointer to the function of this name.
unsafe fn symbol<T: Copy>(library: *mut c_void, name: &CStr) -> Option<T> {
    const { assert!(size_of::<T>() == size_of::<*mut c_void>()) };
    // SAFETY: `T` is a pointer to a function, as large as the address of one.
    unsafe {
        let address = libc::dlsym(library, name.as_ptr());
        (!address.is_null()).then(|| std::mem::transmute_copy(&address))
    }
}
