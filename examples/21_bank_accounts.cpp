// Transfers between accounts need two locks at once. std::scoped_lock takes them so that nobody waits for the other
// for ever; in Python one has to sort the locks for that. A clerk who is killed with both locks in his hands stops
// nobody: whoever comes next is told, once, and takes stock.
#include <multiprocessing.hpp>

#include <iostream>
#include <mutex>

namespace mp = multiprocessing;

struct Account {
    mp::Lock lock;
    mp::RawValue<int> balance{100};

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& lock& balance;
    }
};

void transfer(Account const& from, Account const& to, int amount) {
    std::scoped_lock guard(from.lock, to.lock);
    *from.balance -= amount;
    *to.balance += amount;
}

void clerk(Account mine, Account other) {
    for (int i = 0; i < 1000; ++i) transfer(mine, other, 1 + i % 3);
}

void careless_clerk(Account mine, Account other) {
    mine.lock.acquire();
    other.lock.acquire();
    // ends without a release
}

int main() {
    mp::freeze_support();
    Account a, b;
    mp::Process there(clerk, a, b);
    mp::Process back(clerk, b, a);
    there.start();
    back.start();
    there.join();
    back.join();
    std::cout << a.balance.value() << " + " << b.balance.value() << '\n';

    mp::Process careless(careless_clerk, a, b);
    careless.start();
    careless.join();
    for (Account const& account : {a, b}) {
        try {
            account.lock.acquire();
        } catch (mp::OwnerDiedError const&) {
            std::cout << "the holder died; the balance is " << account.balance.value() << '\n';
        }
    }
    transfer(a, b, 30);
    std::cout << a.balance.value() << " + " << b.balance.value() << '\n';
}
