// Analyses files: lines, words, CRC-32 (with Boost), the longest line, the most frequent identifiers. Does so twice, in
// this process and in a pool; compares the results, and prints how much faster the pool was.
//
//     analyse_files [file or folder...]              default: /usr/include
//
//     with Pool() as pool:
//         reports = pool.map(analyse, paths)
#include <multiprocessing.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/crc.hpp>

namespace fs = std::filesystem;
namespace mp = multiprocessing;
using Ranking = std::vector<std::pair<std::string, std::uint64_t>>; // the most frequent first

/// What is found out about one file. It travels from a worker to this process by its `serialize`.
struct Report {
    std::uint64_t bytes = 0, crc = 0, lines = 0, words = 0, longest = 0, longest_at = 0;
    Ranking identifiers;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        (archive & bytes & crc & lines & words & longest & longest_at & identifiers);
    }
    friend bool operator==(Report const&, Report const&) = default;
};

Ranking rank(auto const& counts, std::size_t length) {
    Ranking all(counts.begin(), counts.end());
    auto const end = all.begin() + static_cast<std::ptrdiff_t>(std::min(length, all.size()));
    std::partial_sort(all.begin(), end, all.end(), [](auto const& a, auto const& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    return {all.begin(), end};
}

std::string read(std::string const& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file) text << file.rdbuf();
    if (!file || text.bad()) throw std::runtime_error("cannot read " + path);
    return std::move(text).str();
}

Report analyse(std::string const& path) {
    std::string const text = read(path);
    boost::crc_32_type crc;
    crc.process_bytes(text.data(), text.size());
    Report report{.bytes = text.size(), .crc = crc.checksum(), .identifiers = {}};

    auto const is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
    auto const is_name = [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; };
    std::unordered_map<std::string_view, std::uint64_t> counts;
    for (std::size_t begin = 0; begin < text.size(); ++report.lines) {
        std::size_t const end = std::min(text.find('\n', begin), text.size());
        if (end - begin > report.longest) report.longest = end - begin, report.longest_at = report.lines + 1;
        for (std::size_t i = begin; i < end;) {
            if (!is_space(text[i]) && (i == begin || is_space(text[i - 1]))) ++report.words;
            std::size_t const start = i++;
            if (!is_name(text[start])) continue;
            while (i < end && is_name(text[i])) ++i;
            if (text[start] > '9') ++counts[std::string_view(text).substr(start, i - start)]; // no number
        }
        begin = end + 1;
    }
    report.identifiers = rank(counts, 20);
    return report;
}

/// The regular files of the given places, in order. Reads each once: it is better to fail here than half-way, and both
/// measurements shall find the files in the memory of the system.
std::vector<std::string> find_files(std::vector<std::string> const& places) {
    std::vector<std::string> paths;
    for (auto const& place : places) {
        if (fs::is_directory(place)) {
            for (auto const& entry : fs::recursive_directory_iterator(place)) {
                if (entry.is_regular_file()) paths.push_back(entry.path().string());
            }
        } else if (fs::is_regular_file(place)) {
            paths.push_back(place);
        } else {
            throw std::runtime_error("no such file or folder: " + place);
        }
    }
    std::sort(paths.begin(), paths.end());
    for (auto const& path : paths) read(path);
    if (paths.empty()) throw std::runtime_error("no files there");
    return paths;
}

void print(std::vector<std::string> const& paths, std::vector<Report> const& reports) {
    Report sum;
    boost::crc_32_type crc;
    std::map<std::string, std::uint64_t> counts;
    for (auto const& one : reports) {
        sum.bytes += one.bytes, sum.lines += one.lines, sum.words += one.words;
        crc.process_bytes(&one.crc, sizeof one.crc);
        for (auto const& [name, count] : one.identifiers) counts[name] += count;
    }
    auto const longest = std::ranges::max_element(reports, {}, &Report::longest);
    std::cout << reports.size() << " files, " << sum.bytes << " bytes, " << sum.lines << " lines, " << sum.words
              << " words\n"
              << "CRC-32 of all CRC-32s  " << std::hex << crc.checksum() << std::dec << '\n'
              << "longest line  " << longest->longest << " characters, "
              << paths[static_cast<std::size_t>(longest - reports.begin())] << ':' << longest->longest_at << '\n'
              << "most frequent identifiers, of the 20 most frequent of each file:\n";
    for (auto const& [name, count] : rank(counts, 10)) std::cout << std::setw(12) << count << "  " << name << '\n';
}

int main(int argc, char** argv) try {
    mp::freeze_support();
    std::vector<std::string> places(argv + 1, argv + argc);
    if (places.empty()) places = {"/usr/include"};
    auto const paths = find_files(places);

    using clock = std::chrono::steady_clock;
    auto const begin = clock::now();
    std::vector<Report> serial;
    for (auto const& path : paths) serial.push_back(analyse(path));
    auto const middle = clock::now();
    mp::Pool pool;
    auto const parallel = pool.map(analyse, paths);
    std::chrono::duration<double> const alone = middle - begin, together = clock::now() - middle;

    print(paths, parallel);
    std::cout << std::fixed << std::setprecision(3) << "serial    " << alone.count() << " s\n"
              << "parallel  " << together.count() << " s with " << pool.worker_pids().size() << " workers\n"
              << "speed-up  " << std::setprecision(2) << alone / together << '\n';
    if (serial != parallel) throw std::logic_error("the results differ");
    std::cout << "serial and parallel results are equal\n";
} catch (std::exception const& error) {
    std::cerr << "analyse_files: " << error.what() << '\n';
    return 1;
}
